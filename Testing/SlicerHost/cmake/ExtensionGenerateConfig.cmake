# What Slicer's extension description file is made from.
foreach(field HOMEPAGE CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS DEPENDS)
  if(NOT EXTENSION_${field})
    message(FATAL_ERROR "EXTENSION_${field} is not set")
  endif()
endforeach()
message(STATUS "Extension ${PROJECT_NAME} depends on: ${EXTENSION_DEPENDS}")
