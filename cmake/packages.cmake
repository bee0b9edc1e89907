# The Debian package (`make deb`): the command with man pages and completion, the C library with
# headers. help2man makes a man page of each command's own help.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME diptych)
set(CPACK_PACKAGE_VENDOR diptych)
set(CPACK_PACKAGE_CONTACT "The diptych authors <diptych@example.org>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Core ML language models in ExecuTorch files, on Linux")
set(CPACK_PACKAGE_DESCRIPTION
"diptych exports Llama-family checkpoints to ExecuTorch .pte files that hold
Core ML programs, and runs, serves, inspects and measures such files on
Linux, with an engine of its own. It also runs other Core ML programs, from
the command line, C and Python.")
set(CPACK_RESOURCE_FILE_LICENSE ${CMAKE_SOURCE_DIR}/LICENSE)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL program library documentation)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
include(CPack)

set(documentation ${CMAKE_BINARY_DIR}/documentation)
add_custom_target(documentation
  COMMAND ${CMAKE_SOURCE_DIR}/packaging/make-documentation.sh $<TARGET_FILE:diptych> ${documentation}
  DEPENDS diptych VERBATIM)
install(DIRECTORY ${documentation}/man DESTINATION ${CMAKE_INSTALL_DATADIR}
        COMPONENT documentation EXCLUDE_FROM_ALL)
install(DIRECTORY ${documentation}/doc/ DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/diptych
        COMPONENT documentation EXCLUDE_FROM_ALL)
install(FILES ${CMAKE_SOURCE_DIR}/packaging/diptych.bash RENAME diptych
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
        COMPONENT documentation EXCLUDE_FROM_ALL)
