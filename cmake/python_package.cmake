# What the Python package (pyproject.toml) consists of beside the files in python/.
add_custom_target(python_package DEPENDS diptych libdiptych)
include(GNUInstallDirs)
install(TARGETS diptych RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
install(FILES $<TARGET_FILE_DIR:diptych>/diptych-worker DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)

install(TARGETS diptych RUNTIME DESTINATION diptych/bin COMPONENT python EXCLUDE_FROM_ALL)
# One file: packages have no links.
install(FILES $<TARGET_FILE:libdiptych> DESTINATION diptych/lib RENAME libdiptych.so COMPONENT python EXCLUDE_FROM_ALL)
if(DIPTYCH_PLUGIN)
  add_dependencies(python_package executorch_backend_coreml)
  install(TARGETS executorch_backend_coreml LIBRARY DESTINATION diptych/lib COMPONENT python EXCLUDE_FROM_ALL)
  # register() compares it with the ExecuTorch that it meets.
  diptych_executorch_version(${executorch_dir} executorch_version)
  set(version_file ${CMAKE_BINARY_DIR}/lib/libexecutorch_backend_coreml.executorch-version)
  file(WRITE ${version_file} "${executorch_version}\n")
  install(FILES ${version_file} DESTINATION diptych/lib COMPONENT python EXCLUDE_FROM_ALL)
endif()
