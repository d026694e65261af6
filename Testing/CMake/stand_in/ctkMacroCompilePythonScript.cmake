# Stand-in. Copies scripts and resources to DESTINATION_DIR, compiles the scripts, and installs the whole of
# DESTINATION_DIR, whoever put things there.
#
# As in the real one: a relative path may leave DESTINATION_DIR ("../x.py" is then built but not installed); an absolute
# script is placed by its path from the binary folder, an absolute resource by its whole path; a name without "py" in its
# extension gets ".py"; of two files with one target, one is lost. Here all but the third are also told.
macro(ctkMacroCompilePythonScript)
  cmake_parse_arguments(_ctk
    "NO_INSTALL_SUBDIR;GLOBAL_TARGET"
    "TARGET_NAME;SOURCE_DIR;DESTINATION_DIR;INSTALL_DIR"
    "SCRIPTS;RESOURCES"
    ${ARGN}
    )
  _ctk_python_files()
endmacro()

function(_ctk_python_files)
  if(_ctk_UNPARSED_ARGUMENTS)
    stand_in_problem("ctkMacroCompilePythonScript ignores ${_ctk_UNPARSED_ARGUMENTS}.")
  endif()
  foreach(argument IN ITEMS TARGET_NAME SCRIPTS DESTINATION_DIR INSTALL_DIR)
    if("${_ctk_${argument}}" STREQUAL "")
      message(FATAL_ERROR "ctkMacroCompilePythonScript: ${argument} is mandatory.")
    endif()
  endforeach()
  if("${_ctk_SOURCE_DIR}" STREQUAL "")
    set(_ctk_SOURCE_DIR "${CMAKE_CURRENT_SOURCE_DIR}")
  endif()

  set(scripts)
  foreach(file IN LISTS _ctk_SCRIPTS)
    get_filename_component(extension "${file}" EXT)
    if(NOT extension MATCHES "py")
      string(APPEND file ".py")
    endif()
    if(IS_ABSOLUTE "${file}")
      file(RELATIVE_PATH placed "${CMAKE_CURRENT_BINARY_DIR}" "${file}")
      _ctk_copy("${file}" "${placed}" scripts)
    else()
      _ctk_copy("${_ctk_SOURCE_DIR}/${file}" "${file}" scripts)
    endif()
  endforeach()
  set(resources)
  foreach(file IN LISTS _ctk_RESOURCES)
    if(IS_ABSOLUTE "${file}")
      _ctk_copy("${file}" "${file}" resources)
    else()
      _ctk_copy("${_ctk_SOURCE_DIR}/${file}" "${file}" resources)
    endif()
  endforeach()

  set(installed "${_ctk_DESTINATION_DIR}")
  if(_ctk_NO_INSTALL_SUBDIR)
    string(APPEND installed "/")
  endif()
  install(DIRECTORY "${installed}" DESTINATION "${_ctk_INSTALL_DIR}"
    COMPONENT RuntimeLibraries USE_SOURCE_PERMISSIONS)

  add_custom_target(Copy${_ctk_TARGET_NAME}PythonScriptFiles ALL DEPENDS ${scripts})
  if(resources)
    add_custom_target(Copy${_ctk_TARGET_NAME}PythonResourceFiles ALL DEPENDS ${resources})
  endif()
  _ctk_compile("${scripts}")
endfunction()

function(_ctk_copy source placed copies)
  set(target "${_ctk_DESTINATION_DIR}/${placed}")
  add_custom_command(
    OUTPUT "${target}"
    COMMAND ${CMAKE_COMMAND} -E copy "${source}" "${target}"
    DEPENDS "${source}"
    COMMENT "Copying ${placed}"
    )
  set(${copies} ${${copies}} "${target}" PARENT_SCOPE)
  _ctk_watch("${source}" "${target}")
endfunction()

function(_ctk_watch source target)
  get_filename_component(target "${target}" ABSOLUTE)
  file(APPEND "${CMAKE_BINARY_DIR}/stand_in/copies.txt" "${source}|${target}\n")
  string(FIND "${target}" "${_ctk_DESTINATION_DIR}/" position)
  if(IS_ABSOLUTE "${placed}")
    stand_in_problem("${source} is given by its whole path and installed below folders of that path.")
  elseif(NOT position EQUAL 0)
    stand_in_problem("${source} is built to ${target}, and nothing installs it from there.")
  endif()
  # Two names that differ in case alone are one file on Windows and macOS.
  string(TOLOWER "${target}" key)
  get_property(targets GLOBAL PROPERTY STAND_IN_TARGETS)
  if("${key}" IN_LIST targets)
    stand_in_problem("${source} is not the only file copied to ${target}, and one of them is lost.")
  endif()
  set_property(GLOBAL APPEND PROPERTY STAND_IN_TARGETS "${key}")
endfunction()

# The real one goes on after a file that does not compile.
function(_ctk_compile scripts)
  if(NOT PYTHON_EXECUTABLE)
    find_program(PYTHON_EXECUTABLE NAMES python3 python REQUIRED)
  endif()
  set(name compile_${_ctk_TARGET_NAME}_python_scripts)
  string(REPLACE ";" "\n" lines "${scripts}")
  file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/${name}.txt" "${lines}\n")
  set(done "${CMAKE_CURRENT_BINARY_DIR}/${name}_complete")
  add_custom_command(
    OUTPUT "${done}"
    COMMAND "${PYTHON_EXECUTABLE}" -m compileall -q -f -i "${CMAKE_CURRENT_BINARY_DIR}/${name}.txt"
    COMMAND ${CMAKE_COMMAND} -E touch "${done}"
    DEPENDS ${scripts}
    COMMENT "Compiling ${_ctk_TARGET_NAME}"
    )
  add_custom_target(Compile${_ctk_TARGET_NAME}PythonFiles ALL DEPENDS "${done}")
  add_dependencies(Compile${_ctk_TARGET_NAME}PythonFiles Copy${_ctk_TARGET_NAME}PythonScriptFiles)
endfunction()
