# What `cmake --install BUILD --component keel_raft --prefix DIR` puts in place, for
#
#   find_package(keel REQUIRED)
#   target_link_libraries(service PRIVATE keel::raft)
#
# Headers lie under include/keel and are included by their path in this
# repository: "raft/driver/node.h".

include(GNUInstallDirs)

set(keel_installed keel_options keel_base keel_pki keel_tls keel_raft_core keel_raft_memory_log keel_raft_log
                   keel_raft_proto keel_raft_transport keel_raft)
foreach(target ${keel_installed})
  string(REGEX REPLACE "^keel_" "" short ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${short})
endforeach()
install(TARGETS ${keel_installed} EXPORT keel
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT keel_raft)
foreach(folder base base/pki base/tls raft/core raft/log raft/transport raft/driver)
  file(GLOB headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.h)
  list(FILTER headers EXCLUDE REGEX "test_util\\.h$|manual_loop\\.h$")
  install(FILES ${headers} DESTINATION include/keel/${folder} COMPONENT keel_raft)
endforeach()
install(FILES ${PROJECT_BINARY_DIR}/gen/raft/transport/raft.pb.h
        DESTINATION include/keel/raft/transport COMPONENT keel_raft)
install(EXPORT keel NAMESPACE keel:: FILE keel-targets.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/keel COMPONENT keel_raft)
file(CONFIGURE OUTPUT keel-config.cmake @ONLY CONTENT [[
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(absl)
find_dependency(Boost 1.81)
find_dependency(Protobuf)
find_dependency(spdlog)
find_dependency(OpenSSL)
include("${CMAKE_CURRENT_LIST_DIR}/keel-targets.cmake")
]])
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/keel-config.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/keel COMPONENT keel_raft)
