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
# For fuzzing one kind will do. Those left out are then the portable one by another name.
set(SIEVERT_LANES avx512 avx2 portable)
if(SIEVERT_FUZZ)
  set(SIEVERT_LANES portable)
  # Arithmetic of one lane after another: nothing there that an input could find, and clang needs many
  # minutes for it with sanitizers.
  set_source_files_properties(${CMAKE_SOURCE_DIR}/src/simt/lanes/rows.c
                              PROPERTIES COMPILE_OPTIONS -fno-sanitize=all)
endif()
set(lanes_avx512 -march=x86-64-v4 -mprefer-vector-width=512 -mno-vzeroupper)
set(lanes_avx2 -march=x86-64-v3 -mno-vzeroupper)
set(lanes_portable)
foreach(name avx512 avx2 portable)
  if(name IN_LIST SIEVERT_LANES)
    simt_lanes(${name} ${lanes_${name}})
  else()
    target_compile_definitions(sv_simt PUBLIC simt_lanes_${name}=simt_lanes_portable)
  endif()
endforeach()
target_link_libraries(sv_simt PUBLIC m)
