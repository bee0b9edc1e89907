// The models that a server has, as one set that is replaced as a whole when files change.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "answer/opened_model.h"
#include "base/error.h"
#include "base/hash.h"
#include "serve/served_model.h"

namespace diptych::server {

struct ModelOptions {
  std::vector<std::string> paths;  // of .pte files; the first is the default
  std::string id;                  // in place of the name that the only file says; empty: its own
  answer::OpenOptions open;
  serve::SchedulerOptions scheduler;
  std::string session_directory;  // where stop() saves what caches hold; empty: nowhere
  std::function<void(std::string_view notice)> tell;  // what could not be saved or restored
};

class Models {
 public:
  // Opens all, restores sessions and starts them. Errors name the file.
  static Result<std::shared_ptr<const Models>> open(const ModelOptions& options,
                                                    serve::Turns& turns);
  // Cancels what is left and saves the sessions. For once.
  void stop() const;

  const std::vector<std::unique_ptr<serve::ServedModel>>& all() const { return models_; }
  // The model of this id, or the first where it is empty; null when there is none.
  const serve::ServedModel* find(const std::string& id) const;

 private:
  // The file of a slot's session.
  std::string session_path(const serve::ServedModel& model, size_t slot) const;
  void restore(const serve::ServedModel& model);

  ModelOptions options_;
  std::map<const serve::ServedModel*, Digest> digests_;  // where sessions are saved
  std::vector<std::unique_ptr<serve::ServedModel>> models_;
};

}  // namespace diptych::server
