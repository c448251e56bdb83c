# Everything beside the libraries is built only when this is the top-level project.
option(TRUNKLINE_BUILD_RUNTIME "Build trunkline::runtime (needs spdlog)" ON)
option(TRUNKLINE_BUILD_TESTS "Build the tests (needs Catch2)" ${PROJECT_IS_TOP_LEVEL})
option(TRUNKLINE_BUILD_EXAMPLES "Build the examples" ${PROJECT_IS_TOP_LEVEL})
option(TRUNKLINE_BUILD_STRESS "Build trunkline-stress (needs Boost.JSON and CLI11)" ${PROJECT_IS_TOP_LEVEL})
option(TRUNKLINE_BUILD_BENCH "Build trunkline-bench (needs Boost.JSON and CLI11)" ${PROJECT_IS_TOP_LEVEL})
option(TRUNKLINE_INSTALL "Install the libraries, their headers and the CMake package" ${PROJECT_IS_TOP_LEVEL})
option(TRUNKLINE_WARNINGS_AS_ERRORS "A warning in our own sources ends the build" ${PROJECT_IS_TOP_LEVEL})
option(TRUNKLINE_COVERAGE "Count the lines and branches that run" OFF)
option(TRUNKLINE_FUZZ "Build the fuzz targets: clang only, see ./tests/run fuzz" OFF)
set(TRUNKLINE_SANITIZE "" CACHE STRING "Sanitizers, comma separated: address,undefined or thread")

if(PROJECT_IS_TOP_LEVEL)
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
  endif()
  find_program(TRUNKLINE_CCACHE ccache)
  if(TRUNKLINE_CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${TRUNKLINE_CCACHE}")
  endif()
endif()

# How our own sources are compiled. Private to each target: users of the libraries never get these.
add_library(trunkline_warnings INTERFACE)
target_compile_options(trunkline_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
if(TRUNKLINE_WARNINGS_AS_ERRORS)
  target_compile_options(trunkline_warnings INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # g++ 12 warns falsely about coroutine frames that Asio's awaitable allocates through its own operator new, and, with
    # -O2, about an overlap in `"text" + std::string` (GCC's bug 105651).
    target_compile_options(trunkline_warnings INTERFACE -Wno-mismatched-new-delete -Wno-restrict)
  endif()
endif()

# What must be the same in every object of one program: sanitizers and coverage. Reaches consumers in this build tree,
# and is not exported.
add_library(trunkline_instrumentation INTERFACE)
if(TRUNKLINE_SANITIZE)
  # -O1 keeps the instrumented tests quick, but those of a target with TRUNKLINE_COMPILE_QUICKLY, which wait for servers;
  # -g1 is enough for a stack with lines and halves the link.
  set(flags -fsanitize=${TRUNKLINE_SANITIZE} -fno-sanitize-recover=all)
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND TRUNKLINE_SANITIZE MATCHES "undefined")
    # clang reports calls through Asio's type-erased function pointers, which are sound.
    list(APPEND flags -fno-sanitize=function)
  endif()
  list(APPEND compile_flags ${flags} -fno-omit-frame-pointer -g1
              $<IF:$<BOOL:$<TARGET_PROPERTY:TRUNKLINE_COMPILE_QUICKLY>>,-O0,-O1>)
  target_compile_options(trunkline_instrumentation INTERFACE ${compile_flags})
  target_link_options(trunkline_instrumentation INTERFACE ${flags})

  # Asio's own functions are compiled once, not in each source: an eighth of what an instrumented test takes.
  add_library(trunkline_asio STATIC ${CMAKE_CURRENT_LIST_DIR}/asio.cpp)
  target_compile_features(trunkline_asio PRIVATE cxx_std_20)
  target_compile_options(trunkline_asio PRIVATE ${compile_flags})
  target_compile_definitions(trunkline_asio PUBLIC BOOST_ASIO_SEPARATE_COMPILATION)
  if(TRUNKLINE_SANITIZE MATCHES "thread")
    # With std::atomic Asio counts references with a fence, which the thread sanitizer does not model: whoever deletes
    # last then seems to race. Boost's own counter orders by the operation itself.
    target_compile_definitions(trunkline_asio PUBLIC BOOST_ASIO_DISABLE_STD_ATOMIC)
  endif()
  target_link_libraries(trunkline_instrumentation INTERFACE trunkline_asio)
endif()
if(TRUNKLINE_COVERAGE)
  target_compile_options(trunkline_instrumentation INTERFACE --coverage -fprofile-abs-path -fprofile-update=atomic -O0)
  target_link_options(trunkline_instrumentation INTERFACE --coverage)
endif()
