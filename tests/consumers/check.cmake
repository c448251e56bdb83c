# Builds a program outside the tree against an install into a fresh prefix (WAY=find_package) or with the sources as a
# folder of its own build (WAY=add_subdirectory), and runs it.
cmake_minimum_required(VERSION 3.25)

set(prefix ${WORK_DIR}/prefix)
set(build ${WORK_DIR}/build)
set(arguments -S ${TRUNKLINE_SOURCE_DIR}/tests/consumers/${WAY} -B ${build} -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${CXX}
    -DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER} -DCMAKE_BUILD_TYPE=Debug)
file(REMOVE_RECURSE ${prefix} ${build})

if(WAY STREQUAL "find_package")
  execute_process(COMMAND ${CMAKE_COMMAND} --install ${TRUNKLINE_BINARY_DIR} --prefix ${prefix}
                  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
  # Nothing of the tree it was built in may remain in what is installed.
  file(GLOB_RECURSE installed ${prefix}/*.cmake)
  foreach(file IN LISTS installed)
    file(READ ${file} text)
    string(FIND "${text}" "${TRUNKLINE_BINARY_DIR}" found)
    if(NOT found EQUAL -1)
      message(FATAL_ERROR "${file} names the build tree ${TRUNKLINE_BINARY_DIR}")
    endif()
  endforeach()
  list(APPEND arguments -DCMAKE_PREFIX_PATH=${prefix})
else()
  list(APPEND arguments -DTRUNKLINE_SOURCE_DIR=${TRUNKLINE_SOURCE_DIR})
endif()

execute_process(COMMAND ${CMAKE_COMMAND} ${arguments} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${build} --parallel 2 COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${build}/consumer OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
if(NOT output STREQUAL "at most 7 connections, none lent\n")
  message(FATAL_ERROR "the consumer printed: ${output}")
endif()
