# Slicer refuses to package an extension without these two files.
foreach(file IN ITEMS "${EXTENSION_README_FILE}" "${EXTENSION_LICENSE_FILE}")
  if(NOT EXISTS "${file}")
    message(FATAL_ERROR "the extension's README or licence does not exist: '${file}'")
  endif()
endforeach()
