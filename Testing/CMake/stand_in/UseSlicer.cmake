# Stand-in: where things are installed, defaults of the extension's description, and the macros for modules and tests.
if("${PROJECT_NAME}" STREQUAL "")
  message(FATAL_ERROR "project() has to come before include(\${Slicer_USE_FILE}).")
endif()
set(EXTENSION_NAME "${PROJECT_NAME}")

# A bundle on macOS, where all extensions have a folder of their own in the application.
option(STAND_IN_BUNDLE "Install as on macOS" OFF)
set(Slicer_BUNDLE_EXTENSIONS_LOCATION "")
if(STAND_IN_BUNDLE)
  set(Slicer_BUNDLE_EXTENSIONS_LOCATION "Slicer.app/Contents/Extensions-${Slicer_REVISION}/${EXTENSION_NAME}/")
endif()
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR
  "${Slicer_INSTALL_ROOT}${Slicer_BUNDLE_EXTENSIONS_LOCATION}${Slicer_QTSCRIPTEDMODULES_LIB_DIR}")

foreach(default IN ITEMS
    "DEPENDS|NA"
    "LICENSE_FILE|${Slicer_LICENSE_FILE}"
    "README_FILE|${Slicer_README_FILE}"
    "SUPERBUILD_BINARY_DIR|${CMAKE_BINARY_DIR}"
    "BUILD_SUBDIRECTORY|."
    )
  string(REPLACE "|" ";" default "${default}")
  list(GET default 0 name)
  list(GET default 1 value)
  if(NOT DEFINED EXTENSION_${name})
    set(EXTENSION_${name} "${value}")
  endif()
endforeach()

file(WRITE "${CMAKE_BINARY_DIR}/stand_in/problems.txt" "")
file(WRITE "${CMAKE_BINARY_DIR}/stand_in/copies.txt" "")
set_property(GLOBAL PROPERTY STAND_IN_TARGETS "")

# What a real build lets pass without a word, to its users' surprise.
function(stand_in_problem text)
  file(APPEND "${CMAKE_BINARY_DIR}/stand_in/problems.txt" "${text}\n")
  message(STATUS "Problem: ${text}")
endfunction()

include(ctkMacroCompilePythonScript)
include(SlicerMacroBuildScriptedModule)
include(SlicerMacroPythonTesting)
include(CTest)
