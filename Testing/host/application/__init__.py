"""The application: `slicer.app`, its managers, its modules, its main window."""
