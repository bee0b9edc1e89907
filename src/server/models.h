// The models that a server has, as one set that is replaced as a whole when files change.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "answer/opened_model.h"
#include "base/error.h"
#include "serve/served_model.h"

namespace diptych::server {

struct ModelOptions {
  std::vector<std::string> paths;  // of .pte files; the first is the default
  std::string id;                  // in place of the name that the only file says; empty: its own
  answer::OpenOptions open;
  serve::SchedulerOptions scheduler;
};

class Models {
 public:
  // Opens all and starts them. Errors name the file.
  static Result<std::shared_ptr<const Models>> open(const ModelOptions& options,
                                                    serve::Turns& turns);

  const std::vector<std::unique_ptr<serve::ServedModel>>& all() const { return models_; }
  // The model of this id, or the first where it is empty; null when there is none.
  const serve::ServedModel* find(const std::string& id) const;

 private:
  std::vector<std::unique_ptr<serve::ServedModel>> models_;
};

}  // namespace diptych::server
