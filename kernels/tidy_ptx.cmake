# FROM, as clang writes it -> TO, as ptxas reads it: without the empty debug sections that accompany
# line directives, and with one-name .file directives.
file(READ ${FROM} text)
string(REGEX REPLACE "\n\t\\.section[^\n]*" "" text "${text}")
string(REGEX REPLACE "(\n\t\\.file\t[0-9]+ )\"\\.\" " "\\1" text "${text}")
file(WRITE ${TO} "${text}")
file(REMOVE ${FROM})
