function(_require_existing what)
  foreach(file IN LISTS ARGN)
    if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${file}" OR IS_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
      message(FATAL_ERROR "${what}: no such file '${file}' in ${CMAKE_CURRENT_SOURCE_DIR}")
    endif()
  endforeach()
endfunction()

function(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MY "WITH_GENERIC_TESTS;WITH_SUBDIR;VERBOSE" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(MY_UNPARSED_ARGUMENTS OR MY_KEYWORDS_MISSING_VALUES)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule: wrong keywords: ${MY_UNPARSED_ARGUMENTS} ${MY_KEYWORDS_MISSING_VALUES}")
  endif()
  if(NOT MY_NAME OR NOT MY_SCRIPTS)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule: NAME and SCRIPTS are mandatory")
  endif()
  _require_existing("slicerMacroBuildScriptedModule(${MY_NAME})" ${MY_SCRIPTS} ${MY_RESOURCES})

  set(destination "${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}")
  set(installed "${destination}/") # what lies inside the folder
  if(MY_WITH_SUBDIR)
    get_filename_component(subdir "${CMAKE_CURRENT_SOURCE_DIR}" NAME)
    string(APPEND destination "/${subdir}")
    set(installed "${destination}") # the folder itself
  endif()
  set(copied)
  foreach(file IN LISTS MY_SCRIPTS MY_RESOURCES)
    add_custom_command(
      OUTPUT "${destination}/${file}"
      COMMAND ${CMAKE_COMMAND} -E copy "${CMAKE_CURRENT_SOURCE_DIR}/${file}" "${destination}/${file}"
      DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${file}"
      )
    list(APPEND copied "${destination}/${file}")
  endforeach()
  add_custom_target(Copy${MY_NAME}PythonFiles ALL DEPENDS ${copied})
  install(DIRECTORY "${installed}" DESTINATION "${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}" COMPONENT Runtime)
endfunction()

function(slicer_add_python_unittest)
  cmake_parse_arguments(MY "" "TESTNAME_PREFIX;SCRIPT" "SLICER_ARGS" ${ARGN})
  if(MY_UNPARSED_ARGUMENTS OR NOT MY_SCRIPT)
    message(FATAL_ERROR "slicer_add_python_unittest: SCRIPT is mandatory; not understood: ${MY_UNPARSED_ARGUMENTS}")
  endif()
  _require_existing("slicer_add_python_unittest" ${MY_SCRIPT})
  get_filename_component(test_name "${MY_SCRIPT}" NAME_WE)
  add_test(NAME "py_${MY_TESTNAME_PREFIX}${test_name}" COMMAND Slicer --no-splash --testing)
endfunction()

if(NOT DEFINED BUILD_TESTING)
  set(BUILD_TESTING ON)
endif()
enable_testing()
