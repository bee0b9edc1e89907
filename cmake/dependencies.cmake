# Third-party libraries, all packaged in Debian 12 (scripts/install-packages.sh lists them).
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(tl-expected REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Protobuf REQUIRED)
# Protobuf is linked statically and its symbols stay inside our executables: libsentencepiece.so
# exports an older protobuf of its own, which would otherwise be mixed with ours at run time.
find_library(PROTOBUF_LITE_ARCHIVE libprotobuf-lite.a REQUIRED)
add_library(protobuf_lite INTERFACE)
target_include_directories(protobuf_lite SYSTEM INTERFACE ${Protobuf_INCLUDE_DIRS})
target_link_libraries(protobuf_lite INTERFACE Threads::Threads
  # Debian's archive is not position independent: shared libraries take the shared one.
  $<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,SHARED_LIBRARY>:protobuf-lite>)
target_link_options(protobuf_lite INTERFACE
  "$<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:LINKER:--whole-archive,${PROTOBUF_LITE_ARCHIVE},--no-whole-archive>"
  "$<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:LINKER:--exclude-libs,libprotobuf-lite.a>")
find_package(PkgConfig REQUIRED)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(sentencepiece REQUIRED IMPORTED_TARGET sentencepiece)
pkg_check_modules(pcre2 REQUIRED IMPORTED_TARGET libpcre2-8)
find_package(HWY REQUIRED)
find_program(FLATC flatc REQUIRED)
if(DIPTYCH_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()
if(DIPTYCH_BENCH)
  find_package(benchmark REQUIRED)
endif()
