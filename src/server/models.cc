#include "server/models.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/printable.h"
#include "serve/session_file.h"

namespace diptych::server {

namespace {

constexpr int64_t kWorthSaving = 16;  // tokens; fewer are evaluated in no time

std::string stem_of(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  std::string name = slash == path.npos ? path : path.substr(slash + 1);
  if (name.ends_with(".pte")) name.resize(name.size() - 4);
  return one_line(name, 100);
}

}  // namespace

Result<std::shared_ptr<const Models>> Models::open(const ModelOptions& options,
                                                   serve::Turns& turns) {
  auto models = std::make_shared<Models>();
  for (const std::string& path : options.paths) {
    std::string id = options.id.empty() ? stem_of(path) : options.id;
    for (int n = 2; models->find(id) != nullptr; ++n) {
      id = fmt::format("{}-{}", stem_of(path), n);
    }
    models->models_.push_back(
        TRY(serve::ServedModel::open(path, id, options.open, turns, options.scheduler)));
  }
  models->options_ = options;
  for (const auto& model : models->models_) {
    if (!options.session_directory.empty() && model->scheduler().sessions().front()->can_save()) {
      models->digests_[model.get()] = TRY(serve::digest_of_file(model->opened().path()));
      models->restore(*model);
    }
    model->scheduler().start();
  }
  return models;
}

std::string Models::session_path(const serve::ServedModel& model, size_t slot) const {
  return fmt::format("{}/{}-{}.session", options_.session_directory, uuid_from(digests_.at(&model)),
                     slot);
}

void Models::restore(const serve::ServedModel& model) {
  auto& sessions = model.scheduler().sessions();
  for (size_t slot = 0; slot < sessions.size(); ++slot) {
    const std::string path = session_path(model, slot);
    if (::access(path.c_str(), F_OK) != 0) continue;
    const Status status = serve::restore_session(path, *sessions[slot], digests_.at(&model));
    if (!status && options_.tell) options_.tell(status.error().to_string());
  }
}

void Models::stop() const {
  for (const auto& model : models_) {
    model->scheduler().stop();
    if (!digests_.contains(model.get())) continue;
    const auto& sessions = model->scheduler().sessions();
    for (size_t slot = 0; slot < sessions.size(); ++slot) {
      if (sessions[slot]->position() < kWorthSaving) continue;
      const Status status = serve::save_session(session_path(*model, slot), *sessions[slot],
                                                digests_.at(model.get()));
      if (!status && options_.tell) options_.tell(status.error().to_string());
    }
  }
}

const serve::ServedModel* Models::find(const std::string& id) const {
  if (id.empty()) return models_.empty() ? nullptr : models_.front().get();
  const auto found = std::find_if(models_.begin(), models_.end(),
                                  [&](const auto& model) { return model->id() == id; });
  return found == models_.end() ? nullptr : found->get();
}

}  // namespace diptych::server
