# Stand-in. Builds a module's files into the one folder of scripted modules and installs all that is there.
macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(_module "WITH_GENERIC_TESTS;WITH_SUBDIR;VERBOSE" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  _slicer_scripted_module()
endmacro()

function(_slicer_scripted_module)
  if(_module_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule does not know ${_module_UNPARSED_ARGUMENTS}.")
  endif()
  if("${_module_NAME}" STREQUAL "")
    message(FATAL_ERROR "slicerMacroBuildScriptedModule: NAME is mandatory.")
  endif()
  # Translation takes the scripts' names and does not go without.
  if("${_module_SCRIPTS}" STREQUAL "")
    message(FATAL_ERROR "slicerMacroBuildScriptedModule: SCRIPTS of ${_module_NAME} is empty.")
  endif()
  foreach(file IN LISTS _module_SCRIPTS _module_RESOURCES)
    get_filename_component(file "${file}" ABSOLUTE)
    if(NOT EXISTS "${file}" AND NOT EXISTS "${file}.py")
      message(FATAL_ERROR "slicerMacroBuildScriptedModule: ${file} of ${_module_NAME} does not exist.")
    endif()
  endforeach()

  set(folder "${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}")
  set(subdir NO_INSTALL_SUBDIR)
  if(_module_WITH_SUBDIR)
    get_filename_component(name "${CMAKE_CURRENT_SOURCE_DIR}" NAME)
    string(APPEND folder "/${name}")
    set(subdir)
  endif()
  ctkMacroCompilePythonScript(
    TARGET_NAME ${_module_NAME}
    SCRIPTS ${_module_SCRIPTS}
    RESOURCES ${_module_RESOURCES}
    DESTINATION_DIR ${folder}
    INSTALL_DIR ${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}
    ${subdir}
    )

  if(BUILD_TESTING AND _module_WITH_GENERIC_TESTS)
    set(test qSlicer${_module_NAME}ModuleGenericTest.py)
    file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/${test}" "# Slicer makes a test here that loads and enters ${_module_NAME}.\n")
    slicer_add_python_unittest(
      SCRIPT ${test}
      SLICER_ARGS --no-main-window --disable-cli-modules
      TESTNAME_PREFIX nomainwindow_
      )
  endif()
endfunction()
