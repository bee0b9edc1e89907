// Drafts by a second, smaller model of the same vocabulary.
#pragma once

#include <memory>

#include "generate/drafter.h"
#include "generate/session.h"

namespace diptych::generate {

class DraftModel : public Drafter {
 public:
  // Draws as `options` say. Errors: the model has not `vocab_size` tokens.
  static Result<std::unique_ptr<DraftModel>> create(std::unique_ptr<Session> session,
                                                    const SamplerOptions& options,
                                                    int64_t vocab_size);

  Status begin(std::span<const int64_t> context) override;
  Result<Draft> propose(std::span<const int64_t> context, int64_t most) override;
  void accept(size_t count) override;
  double seconds(int64_t context, int64_t tokens) const override;

 private:
  DraftModel(std::unique_ptr<Session> session, const SamplerOptions& options)
      : session_(std::move(session)), sampler_(options) {}

  std::unique_ptr<Session> session_;
  Sampler sampler_;
  size_t context_ = 0;  // tokens before the last draft
};

}  // namespace diptych::generate
