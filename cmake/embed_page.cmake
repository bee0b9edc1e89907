# cmake -DFILES="a.html|b.js" -DOUTPUT=page.cc -P embed_page.cmake
# Writes a source with the files' bytes: server/page.h says what it defines.
set(html "text/html; charset=utf-8")
set(css "text/css; charset=utf-8")
set(js "text/javascript; charset=utf-8")
set(svg "image/svg+xml")

string(REPLACE "|" ";" files "${FILES}")
set(arrays "")
set(rows "")
set(index 0)
foreach(file ${files})
  get_filename_component(name ${file} NAME)
  get_filename_component(extension ${file} LAST_EXT)
  string(SUBSTRING ${extension} 1 -1 extension)
  file(READ ${file} bytes HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  string(APPEND arrays "constexpr unsigned char kFile${index}[] = {${bytes}};\n")
  string(APPEND rows "    {\"${name}\", \"${${extension}}\",\n"
                     "     {reinterpret_cast<const char*>(kFile${index}), sizeof kFile${index}}},\n")
  math(EXPR index "${index} + 1")
endforeach()
file(WRITE ${OUTPUT} "#include \"server/page.h\"\n\nnamespace diptych::server {\n\n${arrays}
std::span<const PageFile> page_files() {
  static const PageFile kFiles[] = {\n${rows}  };
  return kFiles;
}

}  // namespace diptych::server\n")
