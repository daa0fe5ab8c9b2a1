# Helpers that keep each folder's CMakeLists.txt to a list of names.
#
#   keel_library(keel_base SRCS a.cc b.cc DEPS absl::status)
#   keel_program(kvd SRCS main.cc DEPS keel_kvserver)
#   keel_test(loop_test SRCS loop_test.cc DEPS keel_base [LABELS slow] [TIMEOUT 60])
#   keel_proto(keel_api_proto PROTOS kvstore/api/rpc.proto)
#
# Libraries have an alias for users: keel_raft is keel::raft. With
# KEEL_RAFT_ONLY programs, tests and benchmarks are not built.

set(KEEL_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
                  -Wno-unused-parameter -Wno-missing-field-initializers
                  # g++ 12 mistakes the operators of Asio's coroutine frames for a mismatched pair.
                  $<$<CXX_COMPILER_ID:GNU>:-Wno-mismatched-new-delete>)

add_library(keel_options INTERFACE)
target_compile_features(keel_options INTERFACE cxx_std_20)
target_include_directories(keel_options INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/gen>
  $<INSTALL_INTERFACE:include/keel>)
# Asio: no separate compilation, no deprecated names; io_context needs no typeid of handlers.
target_compile_definitions(keel_options INTERFACE BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_VISIBILITY)
target_link_libraries(keel_options INTERFACE Threads::Threads)

function(keel_library name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SRCS})
  target_compile_options(${name} PRIVATE ${KEEL_WARNINGS})
  target_link_libraries(${name} PUBLIC keel_options ${ARG_DEPS})
  string(REGEX REPLACE "^keel_" "" short ${name})
  add_library(keel::${short} ALIAS ${name})
endfunction()

function(keel_program name)
  if(KEEL_RAFT_ONLY)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  target_compile_options(${name} PRIVATE ${KEEL_WARNINGS})
  target_link_libraries(${name} PRIVATE keel_options ${ARG_DEPS})
endfunction()

# Has the program allocate with mimalloc where that is installed: messages are allocated on one
# thread and freed on another, which costs glibc's allocator a quarter of a put. Not in debug builds:
# sanitizers bring their own.
find_package(mimalloc QUIET)
function(keel_allocate_fast name)
  if(TARGET ${name} AND TARGET mimalloc AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    # No other symbol of it is named anywhere: a linker that drops what is not needed must keep it.
    target_link_libraries(${name} PRIVATE mimalloc)
    target_link_options(${name} PRIVATE -Wl,--undefined=mi_version)
  endif()
endfunction()

# A test is one ctest entry per executable; GoogleTest prints the cases. One
# without labels is a unit test, which the sanitizers run too.
if(NOT KEEL_RAFT_ONLY)
  add_custom_target(keel_unit_tests)
endif()
function(keel_test name)
  if(KEEL_RAFT_ONLY)
    return()
  endif()
  cmake_parse_arguments(ARG "" "TIMEOUT" "SRCS;DEPS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  target_compile_options(${name} PRIVATE ${KEEL_WARNINGS})
  target_link_libraries(${name} PRIVATE keel_options ${ARG_DEPS} GTest::gmock GTest::gtest GTest::gtest_main rapidcheck)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
    add_dependencies(keel_unit_tests ${name})
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()

# Google Benchmark programs, built with everything else so that they cannot rot.
function(keel_benchmark name)
  if(KEEL_RAFT_ONLY)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  keel_program(${name} SRCS ${ARG_SRCS} DEPS ${ARG_DEPS} benchmark::benchmark benchmark::benchmark_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/benchmarks)
endfunction()

# Protos are named relative to the repository root and included the same way:
# `import "kvstore/api/kv.proto"` in a proto, `#include "kvstore/api/kv.pb.h"` in C++.
function(keel_proto name)
  cmake_parse_arguments(ARG "" "" "PROTOS;DEPS" ${ARGN})
  set(outputs)
  foreach(proto ${ARG_PROTOS})
    string(REGEX REPLACE "\\.proto$" "" stem ${proto})
    set(cc ${PROJECT_BINARY_DIR}/gen/${stem}.pb.cc)
    set(h ${PROJECT_BINARY_DIR}/gen/${stem}.pb.h)
    add_custom_command(
      OUTPUT ${cc} ${h}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/gen
      COMMAND protobuf::protoc --cpp_out=${PROJECT_BINARY_DIR}/gen -I${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/${proto}
      DEPENDS ${PROJECT_SOURCE_DIR}/${proto}
      VERBATIM)
    list(APPEND outputs ${cc} ${h})
  endforeach()
  add_library(${name} STATIC ${outputs})
  target_link_libraries(${name} PUBLIC keel_options protobuf::libprotobuf ${ARG_DEPS})
  target_compile_options(${name} PRIVATE -w)
endfunction()
