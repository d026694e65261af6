# Stand-in. Registers tests that start Slicer; the paths in their commands are what can go wrong.
# As in the real one: a folder in SCRIPT is put on sys.path as it was written, so a relative one leads nowhere.
function(slicer_add_python_unittest)
  cmake_parse_arguments(test "" "TESTNAME_PREFIX;SCRIPT" "SLICER_ARGS" ${ARGN})
  get_filename_component(name "${test_SCRIPT}" NAME_WE)
  get_filename_component(folder "${test_SCRIPT}" PATH)
  if("${folder}" STREQUAL "")
    set(folder "${CMAKE_CURRENT_SOURCE_DIR}")
  endif()
  _slicer_add_test(${name} --python-code
    "import slicer.testing\\; slicer.testing.runUnitTest(['${CMAKE_CURRENT_BINARY_DIR}', '${folder}'], '${name}')")
endfunction()

function(slicer_add_python_test)
  cmake_parse_arguments(test "" "TESTNAME_PREFIX;SCRIPT" "SLICER_ARGS;SCRIPT_ARGS" ${ARGN})
  get_filename_component(name "${test_SCRIPT}" NAME_WE)
  get_filename_component(script "${test_SCRIPT}" ABSOLUTE)
  _slicer_add_test(${name} --python-script "${script}" ${test_SCRIPT_ARGS})
endfunction()

function(_slicer_add_test name)
  set(paths "${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}")
  if(NOT "--disable-cli-modules" IN_LIST test_SLICER_ARGS)
    list(APPEND paths "${CMAKE_BINARY_DIR}/${Slicer_CLIMODULES_LIB_DIR}")
  endif()
  list(APPEND paths "${CMAKE_BINARY_DIR}/${Slicer_QTLOADABLEMODULES_LIB_DIR}")
  add_test(
    NAME py_${test_TESTNAME_PREFIX}${name}
    COMMAND "${Slicer_LAUNCHER_EXECUTABLE}" --no-splash --testing ${test_SLICER_ARGS}
      --additional-module-paths ${paths} ${ARGN}
    )
  set_property(TEST py_${test_TESTNAME_PREFIX}${name} PROPERTY RUN_SERIAL TRUE)
endfunction()
