#include "models.h"

#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "../../test/text/tokenizer_files.h"
#include "../../test/text/tokenizer_json.h"
#include "base/json.h"
#include "process.h"

namespace diptych::fuzz {

namespace {

namespace fs = std::filesystem;
namespace files = text::testing;

// 32 inputs of every linear, for formats with groups; more ids than the tokenizers below have.
constexpr const char* kShape = "dim=32,layers=2,heads=2,kv_heads=1,hidden=32,vocab=544";
constexpr std::string_view kChatTemplate =
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}";

[[noreturn]] void give_up(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(2);
}

Files files_of(const fs::path& directory) {
  Files found;
  for (const auto& entry : fs::directory_iterator(directory)) {
    read_file(entry.path(), &found[entry.path().filename()]);
  }
  return found;
}

std::string file_of(const fs::path& path) {
  std::string bytes;
  if (!read_file(path, &bytes)) give_up(path.string() + " was not made");
  return bytes;
}

}  // namespace

bool read_file(const std::string& path, std::string* bytes) {
  std::ifstream file(path, std::ios::binary);
  bytes->assign(std::istreambuf_iterator<char>(file), {});
  return file.good() || file.eof();
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) give_up("cannot write " + path);
}

Models make_models(const std::string& diptych, const std::string& directory) {
  const fs::path at = directory, scratch = at / "scratch";
  fs::create_directories(scratch);
  const Runner runner(scratch, {600, 600, 0, uint64_t{1} << 30});
  const auto run = [&](std::vector<std::string> words) {
    words.insert(words.begin(), diptych);
    Outcome outcome = runner.run(words, directory, "");
    if (outcome.signal != 0 || outcome.status != 0) {
      give_up("diptych " + words[1] + " of a good model fails: " + outcome.err);
    }
    return outcome.out;
  };
  Models models;
  const auto synth = [&](const std::string& name, const std::string& form, const char* family,
                         const char* shards) {
    run({"synth", "--shape", kShape, "--format", form, "--family", family, "--shards", shards, "-o",
         name});
    return files_of(at / name);
  };
  models.hugging_face = synth("hf", "hf", "llama", "1");
  models.sharded = synth("sharded", "hf", "llama", "2");
  models.qwen3 = synth("qwen3", "hf", "qwen3", "1");
  models.meta = synth("meta", "meta", "llama", "1");
  models.gguf = synth("gguf", "gguf", "llama", "1").at("model.gguf");

  models.byte_level = dump_json(files::byte_level_json({"a b", "ab c", "h e", "l l"}));
  models.byte_fallback =
      dump_json(files::fallback_json({"▁", "a", "b", "ab", "▁a"}, Json::array({"a b", "▁ a"})));
  models.sentencepiece = files::sentencepiece_file(2);
  models.ranks = files::rank_file({"ab", "he"});

  write_file(at / "hf/tokenizer.json", models.byte_level);
  write_file(at / "hf/chat_template.jinja", std::string(kChatTemplate));
  write_file(at / "hf/generation_config.json",
             R"({"do_sample": true, "temperature": 0.8, "top_k": 20, "top_p": 0.9})");
  run({"export", "hf", "-o", "single.pte", "--max_context_len", "96", "--input_len", "8",
       "--recipe", "upstream"});
  run({"export", "hf", "-o", "multi.pte", "--max_context_len", "96", "--input_len", "8",
       "--multifunction", "--recipe", "upstream"});
  models.single = file_of(at / "single.pte");
  models.multi = file_of(at / "multi.pte");
  return models;
}

}  // namespace diptych::fuzz
