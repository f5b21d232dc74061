# The same C source for the GPU and for the host. clang (needed for the kernels anyway) makes PTX from it at
# every level of optimisation, nvcc too where it is installed.
find_program(CUDA_NVCC nvcc PATHS /usr/local/cuda/bin)
set(cuda_ptx "")
function(cuda_ptx name)
  set(ptx ${CMAKE_CURRENT_BINARY_DIR}/${name}.ptx)
  add_custom_command(OUTPUT ${ptx} COMMAND ${ARGN} ${CMAKE_CURRENT_SOURCE_DIR}/cuda/threads.cu -o ${ptx}
                     DEPENDS cuda/threads.cu cuda/threads.h VERBATIM COMMENT "PTX ${name}")
  set(cuda_ptx ${cuda_ptx} ${ptx} PARENT_SCOPE)
endfunction()
foreach(level 0 1 2 3)
  cuda_ptx(threads-clang-O${level} ${OPENCL_CLANG} -x cuda --cuda-device-only --cuda-gpu-arch=sm_70 -nocudainc
           -nocudalib -Wno-unknown-cuda-version -Wno-implicit-fallthrough -S -O${level} -ffp-contract=off
           -Xclang -target-feature -Xclang +ptx63)
endforeach()
# Other clangs that are installed: what newer ones write must load and run, too.
foreach(version 15 16 17 18 19)
  find_program(CUDA_CLANG_${version} clang-${version})
  if(CUDA_CLANG_${version})
    cuda_ptx(threads-clang-${version} ${CUDA_CLANG_${version}} -x cuda --cuda-device-only --cuda-gpu-arch=sm_70
             -nocudainc -nocudalib -Wno-unknown-cuda-version -Wno-implicit-fallthrough -S -O2 -ffp-contract=off
             -Xclang -target-feature -Xclang +ptx63)
  endif()
endforeach()
if(CUDA_NVCC)
  cuda_ptx(threads-nvcc ${CUDA_NVCC} -ptx -fmad=false -lineinfo -w)
  cuda_ptx(threads-nvcc-G ${CUDA_NVCC} -ptx -fmad=false -G -w)
endif()
add_custom_target(test_cuda_ptx DEPENDS ${cuda_ptx})
add_dependencies(oracle_ptx_native test_cuda_ptx)
list(JOIN cuda_ptx "|" cuda_ptx_list)
target_compile_definitions(oracle_ptx_native PRIVATE "THREADS_PTX=\"${cuda_ptx_list}\"")
