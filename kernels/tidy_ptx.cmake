# FROM.tmp, as clang writes it -> TO, as ptxas reads it and as nvcc would have said it:
# * without the empty debug sections that accompany line directives, and with one-name .file directives;
# * with .reqntid and .minnctapersm (nvcc: __launch_bounds__(threads, 1)), so that ptxas fits the
#   registers to the thread group and does not spill to make room for a second one. clang drops OpenCL's
#   reqd_work_group_size for this target; FROM.i, the preprocessed source, has it.
file(READ ${FROM}.tmp text)
string(REGEX REPLACE "\n\t\\.section[^\n]*" "" text "${text}")
string(REGEX REPLACE "(\n\t\\.file\t[0-9]+ )\"\\.\" " "\\1" text "${text}")

file(READ ${FROM}.i source)
string(REGEX MATCHALL "reqd_work_group_size\\(([^,]+), 1, 1\\)\\)\\) void [a-z_0-9]+" kernels "${source}")
foreach(kernel ${kernels})
  string(REGEX MATCH "\\(([^,]+), 1, 1\\)\\)\\) void ([a-z_0-9]+)" unused "${kernel}")
  set(name ${CMAKE_MATCH_2})
  math(EXPR threads "${CMAKE_MATCH_1}")
  string(REGEX REPLACE "(\n\\.entry ${name}\\([^)]*\\)\n)" "\\1.reqntid ${threads}, 1, 1\n.minnctapersm 1\n"
         text "${text}")
endforeach()
file(WRITE ${TO} "${text}")
file(REMOVE ${FROM}.tmp ${FROM}.i)
