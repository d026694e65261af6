# Stand-in. Writes and installs the description that Slicer reads after installation, and sets the package up.
foreach(file IN ITEMS EXTENSION_README_FILE EXTENSION_LICENSE_FILE)
  if(NOT EXISTS "${${file}}")
    message(FATAL_ERROR "${file} names a file that does not exist: ${${file}}")
  endif()
endforeach()
if("${EXTENSION_LICENSE_FILE}" STREQUAL "${Slicer_LICENSE_FILE}")
  stand_in_problem("${EXTENSION_NAME} names no licence and gets Slicer's.")
endif()

# The real one asks git; a folder that is no checkout ends the configuration there, too.
foreach(property IN ITEMS REVISION URL DATE)
  if("${${EXTENSION_NAME}_WC_${property}}" STREQUAL "")
    message(FATAL_ERROR "${EXTENSION_NAME}_WC_${property} is empty.")
  endif()
endforeach()

set(description "scm git\nscmurl ${${EXTENSION_NAME}_WC_URL}\nscmrevision ${${EXTENSION_NAME}_WC_REVISION}\n")
foreach(field IN ITEMS DEPENDS HOMEPAGE CONTRIBUTORS ICONURL DESCRIPTION SCREENSHOTURLS)
  if("${EXTENSION_${field}}" STREQUAL "")
    stand_in_problem("EXTENSION_${field} is empty.")
  endif()
  # Values are passed on unquoted: of a list, the first element alone arrives.
  list(LENGTH EXTENSION_${field} count)
  if(count GREATER 1)
    stand_in_problem("EXTENSION_${field} has a semicolon, and what follows it is lost.")
    list(GET EXTENSION_${field} 0 EXTENSION_${field})
  endif()
  string(TOLOWER "${field}" key)
  string(APPEND description "${key} ${EXTENSION_${field}}\n")
endforeach()
file(WRITE "${CMAKE_BINARY_DIR}/${EXTENSION_NAME}.s4ext" "${description}")
install(FILES "${CMAKE_BINARY_DIR}/${EXTENSION_NAME}.s4ext"
  DESTINATION "${Slicer_INSTALL_ROOT}${Slicer_BUNDLE_EXTENSIONS_LOCATION}${Slicer_SHARE_DIR}"
  COMPONENT RuntimeLibraries)

set(CPACK_MONOLITHIC_INSTALL ON)
set(CPACK_GENERATOR "TGZ")
set(CPACK_SOURCE_GENERATOR "TGZ")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${EXTENSION_DESCRIPTION}")
set(CPACK_PACKAGE_DESCRIPTION_FILE "${EXTENSION_README_FILE}")
set(CPACK_RESOURCE_FILE_LICENSE "${EXTENSION_LICENSE_FILE}")
string(CONCAT CPACK_PACKAGE_FILE_NAME "${Slicer_REVISION}-${Slicer_OS}-${Slicer_ARCHITECTURE}-${EXTENSION_NAME}"
  "-git${${EXTENSION_NAME}_WC_REVISION}-${${EXTENSION_NAME}_WC_DATE}")
include(CPack)
