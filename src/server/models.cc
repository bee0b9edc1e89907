#include "server/models.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/printable.h"

namespace diptych::server {

namespace {

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
    for (int n = 2; models->find(id) != nullptr && !models->models_.empty(); ++n) {
      id = fmt::format("{}-{}", stem_of(path), n);
    }
    models->models_.push_back(
        TRY(serve::ServedModel::open(path, id, options.open, turns, options.scheduler)));
  }
  for (const auto& model : models->models_) model->scheduler().start();
  return models;
}

const serve::ServedModel* Models::find(const std::string& id) const {
  if (id.empty()) return models_.empty() ? nullptr : models_.front().get();
  const auto found = std::find_if(models_.begin(), models_.end(),
                                  [&](const auto& model) { return model->id() == id; });
  return found == models_.end() ? nullptr : found->get();
}

}  // namespace diptych::server
