# What `make install` and `make deb` leave, used from there.
add_dependencies(tests installables)
foreach(how tree deb)
  add_test(NAME install/${how}
           COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/install/check.sh ${how} ${CMAKE_BINARY_DIR}
                   ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/install-${how})
  set_tests_properties(install/${how} PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77)
endforeach()
