# A stand-in for a build of 3D Slicer: what FedSim's CMake files call, enough to build and install the extension without
# one. The folders and the macros' arguments are those of Slicer 5.12. Left out: byte-compiling, running the tests,
# packages (.tar.gz), the extension's description.
#
# With -DSLICER_SOURCE and -DCTK_SOURCE (checkouts), Slicer's own slicerMacroBuildScriptedModule and CTK's own
# ctkMacroCompilePythonScript are used instead of ours.
set(Slicer_USE_PYTHONQT TRUE)
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR "lib/Slicer-5.12/qt-scripted-modules")
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR "${Slicer_QTSCRIPTEDMODULES_LIB_DIR}")
set(Slicer_USE_FILE "${CMAKE_CURRENT_LIST_DIR}/UseSlicer.cmake")
set(Slicer_EXTENSION_GENERATE_CONFIG "${CMAKE_CURRENT_LIST_DIR}/GenerateConfig.cmake")
set(Slicer_EXTENSION_CPACK "${CMAKE_CURRENT_LIST_DIR}/CPack.cmake")
set(Slicer_FOUND TRUE)
