if(NOT TRUNKLINE_INSTALL)
  return()
endif()

include(CMakePackageConfigHelpers)
set(destination ${CMAKE_INSTALL_LIBDIR}/cmake/trunkline)

# One export a component: who installs only what the pool needs is never asked for spdlog.
set(components pool config)
if(TARGET trunkline_runtime)
  list(APPEND components runtime)
endif()
foreach(component IN LISTS components)
  install(EXPORT trunkline-${component} NAMESPACE trunkline:: DESTINATION ${destination}
          FILE trunkline-${component}-targets.cmake)
endforeach()

configure_package_config_file(${PROJECT_SOURCE_DIR}/.cmake/trunkline-config.cmake.in
                              ${PROJECT_BINARY_DIR}/trunkline-config.cmake INSTALL_DESTINATION ${destination})
# 0.x: a minor version may change the surface.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/trunkline-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/trunkline-config.cmake ${PROJECT_BINARY_DIR}/trunkline-config-version.cmake
        DESTINATION ${destination})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
