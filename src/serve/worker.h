// ExecuTorch's worker protocol (examples/llm_server there): a control plane asks for texts in lines
// of JSON on standard input and reads lines of JSON from standard output. docs/formats/worker.md
// says what they hold.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "answer/opened_model.h"
#include "base/error.h"
#include "base/json_fwd.h"
#include "generate/session.h"

namespace diptych::serve {

class Worker {
 public:
  // Takes a line; false when it cannot be written.
  using Emit = std::function<bool(const Json& line)>;

  // Keeps at most so many named sessions beside the one of requests without a name. The model has a
  // tokenizer and must outlive the worker.
  Worker(const answer::OpenedModel& model, size_t named_sessions)
      : model_(model), most_named_(named_sessions) {}

  // The line that a worker begins with.
  Json ready() const;
  // Does what a line asks for. What is wrong with a request is said in a line as well; an error is
  // that lines cannot be written.
  Status serve(std::string_view line, const Emit& emit);

 private:
  // A session and the tokens that it stands for: all that were evaluated, and the last one chosen.
  struct Named {
    std::unique_ptr<generate::Session> session;
    std::vector<int64_t> tokens;
    bool dirty = false;  // the text that was given out is not that of the tokens
  };

  Result<Json> dispatch(const Json& request, const Emit& emit);
  Result<Json> generate(Named& named, bool resume, const Json& request, const Emit& emit);
  Result<std::vector<int64_t>> prompt_of(const Json& request) const;
  // The session of this name, made where there is none; with `code` set where none can be.
  Result<Named*> open(const std::string& id, std::string& code);

  const answer::OpenedModel& model_;
  size_t most_named_;
  std::map<std::string, Named> named_;
  Named unnamed_;
};

}  // namespace diptych::serve
