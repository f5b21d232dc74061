# sievert_fuzz(NAME N LIBS): fuzz_NAME.c. Its corpus, the folder NAME, is replayed and mutated N times in ordinary
# tests (driver.c). With clang and -DSIEVERT_SANITIZE=ON, fuzz_NAME_libfuzzer (not part of any target) searches
# on: give it a folder. `make fuzz` runs them all.
function(sievert_fuzz name n)
  add_executable(fuzz_${name} EXCLUDE_FROM_ALL fuzz/fuzz_${name}.c fuzz/driver.c)
  target_link_libraries(fuzz_${name} PRIVATE ${ARGN})
  add_dependencies(tests fuzz_${name})
  file(GLOB corpus CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/${name}/*)
  add_test(NAME fuzz/${name}_replay COMMAND fuzz_${name} ${corpus})
  add_test(NAME fuzz/${name}_mutate COMMAND fuzz_${name} --mutate ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/${name} ${n} 1)
  set_tests_properties(fuzz/${name}_replay fuzz/${name}_mutate PROPERTIES TIMEOUT 120)
  if(CMAKE_C_COMPILER_ID MATCHES Clang)
    add_executable(fuzz_${name}_libfuzzer EXCLUDE_FROM_ALL fuzz/fuzz_${name}.c)
    target_compile_options(fuzz_${name}_libfuzzer PRIVATE -fsanitize=fuzzer)
    target_link_options(fuzz_${name}_libfuzzer PRIVATE -fsanitize=fuzzer)
    target_link_libraries(fuzz_${name}_libfuzzer PRIVATE ${ARGN})
  endif()
endfunction()

sievert_fuzz(ptx 3000 sv_simt sv_ptx sv_vocab sv_base)
sievert_fuzz(npy 30000 sv_base)
sievert_fuzz(model 2000 sv_model sv_characterise sv_vocab sv_base)
# Bytes that choose statements of kernels: they get as far as the interpreter.
sievert_fuzz(programs 2000 sv_simt sv_ptx sv_vocab sv_base)
