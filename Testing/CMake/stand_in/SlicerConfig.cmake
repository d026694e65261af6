# Stand-in for the file that find_package(Slicer) reads from a Slicer build. README.md of this folder says what differs.
if(CMAKE_VERSION VERSION_LESS 3.16.3)
  message(FATAL_ERROR "Slicer needs CMake 3.16.3 or newer.")
endif()

set(Slicer_CMAKE_DIR "${CMAKE_CURRENT_LIST_DIR}")
list(INSERT CMAKE_MODULE_PATH 0 "${Slicer_CMAKE_DIR}")
set(Slicer_USE_FILE "${Slicer_CMAKE_DIR}/UseSlicer.cmake")
set(Slicer_EXTENSION_GENERATE_CONFIG "${Slicer_CMAKE_DIR}/SlicerExtensionGenerateConfig.cmake")
set(Slicer_EXTENSION_CPACK "${Slicer_CMAKE_DIR}/SlicerExtensionCPack.cmake")

set(Slicer_VERSION "5.13")
set(Slicer_REVISION "34000")
set(Slicer_OS "linux")
set(Slicer_ARCHITECTURE "amd64")
set(Slicer_USE_PYTHONQT ON)
# Registered, never run. CTest lists a command in full only if its program exists.
set(Slicer_LAUNCHER_EXECUTABLE "${CMAKE_COMMAND}")
# What is packed when an extension names no files of its own.
set(Slicer_LICENSE_FILE "${Slicer_CMAKE_DIR}/README.md")
set(Slicer_README_FILE "${Slicer_CMAKE_DIR}/README.md")

set(Slicer_LIB_DIR "lib/Slicer-${Slicer_VERSION}")
set(Slicer_SHARE_DIR "share/Slicer-${Slicer_VERSION}")
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR "${Slicer_LIB_DIR}/qt-scripted-modules")
set(Slicer_QTLOADABLEMODULES_LIB_DIR "${Slicer_LIB_DIR}/qt-loadable-modules")
set(Slicer_CLIMODULES_LIB_DIR "${Slicer_LIB_DIR}/cli-modules")
set(Slicer_INSTALL_ROOT "./")
