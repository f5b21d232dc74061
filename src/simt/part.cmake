# The steps of the interpreter, once per kind of processor; simt_new chooses at run time.
set(lanes_flags -fno-strict-aliasing -fno-math-errno -fno-trapping-math -Wno-psabi -Wno-pass-failed)
function(simt_lanes name)
  add_library(simt_lanes_${name} OBJECT ${CMAKE_SOURCE_DIR}/src/simt/lanes/exec.c
              ${CMAKE_SOURCE_DIR}/src/simt/lanes/rows.c ${CMAKE_SOURCE_DIR}/src/simt/lanes/lists.c)
  target_include_directories(simt_lanes_${name} PRIVATE ${CMAKE_SOURCE_DIR}/src)
  target_compile_definitions(simt_lanes_${name} PRIVATE SIMT_LANES_NAME=${name})
  target_compile_options(simt_lanes_${name} PRIVATE ${lanes_flags} ${ARGN})
  if(SIEVERT_SANITIZE AND CMAKE_C_COMPILER_ID MATCHES Clang) # which needs many minutes for it; gcc does it
    target_compile_options(simt_lanes_${name} PRIVATE -fno-sanitize=undefined)
  endif()
  target_sources(sv_simt PRIVATE $<TARGET_OBJECTS:simt_lanes_${name}>)
endfunction()
simt_lanes(avx512 -march=x86-64-v4 -mprefer-vector-width=512 -mno-vzeroupper)
simt_lanes(avx2 -march=x86-64-v3 -mno-vzeroupper)
simt_lanes(portable)
target_link_libraries(sv_simt PUBLIC m)
