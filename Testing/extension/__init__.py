"""What keeps the extension's build files in step with the tree, and a stand-in for a build of Slicer to try them in."""
