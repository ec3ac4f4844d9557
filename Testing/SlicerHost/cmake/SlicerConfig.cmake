# A stand-in for the CMake package that a build of 3D Slicer offers to extensions, so that the project can be configured,
# built and installed without one. It follows Slicer's documentation (developer guide, "Extensions") and refuses what
# Slicer's macros refuse: unknown keywords, files that are not there, fields that are missing.
set(Slicer_FOUND 1)
set(Slicer_VERSION "5.12.0")
set(Slicer_USE_PYTHONQT ON)
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR "lib/Slicer-5.12/qt-scripted-modules")
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR "lib/Slicer-5.12/qt-scripted-modules")
set(Slicer_USE_FILE "${CMAKE_CURRENT_LIST_DIR}/UseSlicer.cmake")
set(Slicer_EXTENSION_GENERATE_CONFIG "${CMAKE_CURRENT_LIST_DIR}/ExtensionGenerateConfig.cmake")
set(Slicer_EXTENSION_CPACK "${CMAKE_CURRENT_LIST_DIR}/ExtensionCPack.cmake")
