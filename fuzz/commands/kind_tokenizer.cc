// Tokenizers: tokenizer.json, and the files of SentencePiece and of the tiktoken kind.

#include "commands.h"
#include "hostile.h"
#include "mutate_bytes.h"
#include "mutate_json.h"

namespace diptych::fuzz {

namespace {

constexpr JsonMember kMembers[] = {
    {"normalizer", R"({"type":"NFKC"})"},
    {"normalizer", R"({"type":"Sequence","normalizers":[{"type":"Lowercase"},{"type":"Strip"}]})"},
    {"normalizer", R"({"type":"Replace","pattern":{"Regex":"(a|b)+"},"content":"aa"})"},
    {"normalizer", R"({"type":"Replace","pattern":{"String":"a"},"content":"aaaa"})"},
    {"normalizer", R"({"type":"Prepend","prepend":"_"})"},
    {"normalizer", R"({"type":"Precompiled","precompiled_charsmap":"AAAA"})"},
    {"pre_tokenizer", R"({"type":"Digits","individual_digits":true})"},
    {"pre_tokenizer", R"({"type":"Metaspace","replacement":"_","prepend_scheme":"always"})"},
    {"pre_tokenizer", R"({"type":"ByteLevel","add_prefix_space":true,"use_regex":true})"},
    {"pre_tokenizer",
     R"({"type":"Split","pattern":{"Regex":"(a*)*b"},"behavior":"Isolated","invert":false})"},
    {"pre_tokenizer",
     R"({"type":"Split","pattern":{"Regex":"(?i:[a-z]{1,1000}){1,1000}"},"behavior":"Removed","invert":true})"},
    {"decoder", R"({"type":"ByteFallback"})"},
    {"decoder", R"({"type":"Strip","content":" ","start":1000000000,"stop":0})"},
    {"decoder", R"({"type":"Replace","pattern":{"String":""},"content":"x"})"},
    {"post_processor", R"({"type":"ByteLevel","trim_offsets":false})"},
    {"added_tokens", R"([{"id":300,"content":"<|x|>","special":true}])"},
    {"added_tokens", R"([{"id":0,"content":"","special":true}])"},
    {"truncation", R"({"max_length":4,"strategy":"LongestFirst","stride":0})"},
    {"padding", R"({"strategy":{"Fixed":10},"pad_id":0})"},
    {"version", R"("2.0")"},
    {"model", R"({"type":"BPE","vocab":{"a":0},"merges":[]})"},
    {"model", R"({"type":"WordPiece","vocab":{"a":0}})"},
    {"model", R"({"type":"Unigram","vocab":[["a",-1.0]],"unk_id":0})"},
};

// The tokenizer beside a model or alone.
Files with_tokenizer(const Models& models, const std::string& name, const std::string& bytes,
                     Random& random) {
  Files files;
  if (random.one_in(3)) {
    for (const auto& [file, contents] : models.hugging_face) files["m/" + file] = contents;
  }
  files["m/" + name] = bytes;
  return files;
}

Command tokenizer_command(const std::string& name, const Files& files, Random& random) {
  if (files.contains("m/config.json") && !random.one_in(3)) return export_command("m", random);
  if (files.contains("m.pte")) {
    Command command;
    command.words = {"metadata", "set", "m.pte", "--tokenizer", "m/" + name, "-o", "n.pte"};
    command.outputs = {"n.pte"};
    return command;
  }
  return tokenize_command(random.one_in(2) ? "m" : "m/" + name, random);
}

class TokenizerJsonKind : public Kind {
 public:
  explicit TokenizerJsonKind(const Models& models) : models_(models) {}
  std::string_view name() const override { return "tokenizer_json"; }

  Files seed(Random& random) const override {
    Files files =
        with_tokenizer(models_, "tokenizer.json",
                       random.one_in(2) ? models_.byte_level : models_.byte_fallback, random);
    if (random.one_in(6)) files["m.pte"] = models_.single;
    return files;
  }
  void mutate(Files& files, Random& random) const override {
    mutate_json(files["m/tokenizer.json"], random, kMembers);
  }
  Command command(const Files& files, Random& random) const override {
    return tokenizer_command("tokenizer.json", files, random);
  }

 private:
  const Models& models_;
};

class TokenizerModelKind : public Kind {
 public:
  explicit TokenizerModelKind(const Models& models) : models_(models) {}
  std::string_view name() const override { return "tokenizer_model"; }

  Files seed(Random& random) const override {
    return with_tokenizer(models_, "tokenizer.model",
                          random.one_in(4) ? models_.ranks : models_.sentencepiece, random);
  }
  void mutate(Files& files, Random& random) const override {
    std::string& file = files["m/tokenizer.model"];
    if (file.starts_with("AA")) {  // a rank file: lines of text
      if (random.one_in(3)) {
        file.insert(file.find('\n', random.below(file.size())) + 1, hostile_text(random) + "\n");
      } else {
        mutate_bytes(file, random);
      }
    } else {
      mutate_protobuf(file, random);
    }
  }
  Command command(const Files& files, Random& random) const override {
    return tokenizer_command("tokenizer.model", files, random);
  }

 private:
  const Models& models_;
};

}  // namespace

std::unique_ptr<const Kind> tokenizer_json_kind(const Models& models) {
  return std::make_unique<TokenizerJsonKind>(models);
}
std::unique_ptr<const Kind> tokenizer_model_kind(const Models& models) {
  return std::make_unique<TokenizerModelKind>(models);
}

}  // namespace diptych::fuzz
