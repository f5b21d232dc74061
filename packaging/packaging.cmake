# libsievert, and what `make install` and `make deb` put where.
include(GNUInstallDirs)

file(GLOB lib_sources CONFIGURE_DEPENDS src/lib/*.c)
add_library(libsievert SHARED ${lib_sources})
set_target_properties(libsievert PROPERTIES OUTPUT_NAME sievert VERSION ${PROJECT_VERSION}
                      SOVERSION ${PROJECT_VERSION_MAJOR} PUBLIC_HEADER include/sievert.h)
target_compile_definitions(libsievert PRIVATE SIEVERT_BUILDING
                           SIEVERT_VERSION="${PROJECT_VERSION}")
target_include_directories(libsievert PRIVATE src PUBLIC include)
target_link_libraries(libsievert PRIVATE sv_study sv_campaign sv_simulate sv_report sv_conv sv_nn
                      sv_model sv_store sv_stats sv_characterise sv_inject sv_simt sv_ptx sv_vocab
                      sv_base PkgConfig::JANSSON)
target_link_options(libsievert PRIVATE -Wl,--exclude-libs,ALL -Wl,--no-undefined)

# Man pages and completions, by the program itself.
set(words ${CMAKE_CURRENT_BINARY_DIR}/words)
add_custom_command(OUTPUT ${words}/done
  COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/packaging/words.sh $<TARGET_FILE:sievert> ${words}
  DEPENDS sievert packaging/words.sh VERBATIM COMMENT "Writing man pages and completions")
add_custom_target(words ALL DEPENDS ${words}/done)
add_custom_target(installables DEPENDS sievert libsievert words)

# The .pc file finds its prefix from where it lies, so that the tree can be moved.
file(RELATIVE_PATH pc_to_prefix /x/${CMAKE_INSTALL_LIBDIR}/pkgconfig /x)
configure_file(packaging/sievert.pc.in ${CMAKE_CURRENT_BINARY_DIR}/sievert.pc @ONLY)
install(TARGETS sievert libsievert)
if(TARGET sievert_mpi)
  install(TARGETS sievert_mpi DESTINATION lib/sievert)
endif()
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/sievert.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES python/sievert.py DESTINATION lib/python3/dist-packages)
install(DIRECTORY ${words}/man1 DESTINATION ${CMAKE_INSTALL_MANDIR})
install(FILES ${words}/sievert DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${words}/_sievert DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(DIRECTORY examples docs DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME sievert)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "soft errors in GPU convolutions, from kernel to CNN")
set(CPACK_PACKAGE_CONTACT "The Sievert developers <sievert@localhost>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "dataset-fashion-mnist, python3-numpy")
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
include(CPack)
