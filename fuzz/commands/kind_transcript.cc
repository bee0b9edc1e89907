// Saved conversations, loaded by chat.

#include "commands.h"
#include "hostile.h"
#include "mutate_json.h"

namespace diptych::fuzz {

namespace {

constexpr JsonMember kMembers[] = {
    {"format", R"("diptych.chat")"},
    {"version", "1"},
    {"messages", "[]"},
    {"messages", R"([{"role":"user","content":"a"},{"role":"user","content":"b"}])"},
    {"messages", R"([{"role":"user","content":[{"type":"text","text":"a"}]}])"},
    {"tool_calls", R"([{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}])"},
    {"role", R"("tool")"},
};

class TranscriptKind : public Kind {
 public:
  explicit TranscriptKind(const Models& models) : models_(models) {}
  std::string_view name() const override { return "transcript"; }

  Files seed(Random&) const override {
    return {{"m.pte", models_.multi},
            {"talk.json",
             R"({"format":"diptych.chat","version":1,"messages":[)"
             R"({"role":"system","content":"Be brief."},{"role":"user","content":"hello"},)"
             R"({"role":"assistant","content":"he"}]})"}};
  }
  void mutate(Files& files, Random& random) const override {
    mutate_json(files["talk.json"], random, kMembers);
  }
  Command command(const Files&, Random& random) const override {
    Command command = chat_command("m.pte", "/load talk.json\nhello\n", random);
    command.words.push_back("--commands");
    return command;
  }

 private:
  const Models& models_;
};

}  // namespace

std::unique_ptr<const Kind> transcript_kind(const Models& models) {
  return std::make_unique<TranscriptKind>(models);
}

}  // namespace diptych::fuzz
