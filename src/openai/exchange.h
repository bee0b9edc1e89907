// A request that generates, understood: the jobs that it asks for, and who writes what it gets.
#pragma once

#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "serve/job.h"
#include "serve/reply.h"

namespace diptych::openai {

// Makes the response's body from the answers' parts. Where the response is a stream the texts are
// server-sent events, to be sent at once; else add() and begin() give nothing and end() the whole.
class ReplyWriter {
 public:
  virtual ~ReplyWriter() = default;
  virtual std::string begin() { return {}; }
  virtual std::string add(const serve::Part& part) = 0;
  virtual std::string end(const std::vector<serve::Outcome>& outcomes) = 0;
};

struct Exchange {
  std::vector<serve::Job> jobs;
  std::unique_ptr<ReplyWriter> writer;
  bool stream = false;
};

// What every response says of itself.
struct ResponseHead {
  std::string id, model;
  std::time_t created = std::time(nullptr);
};

}  // namespace diptych::openai
