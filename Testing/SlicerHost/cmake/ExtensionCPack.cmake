if(NOT PROJECT_NAME)
  message(FATAL_ERROR "Packaging needs a project name")
endif()
