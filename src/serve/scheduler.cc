#include "serve/scheduler.h"

#include <algorithm>

#include "base/clock.h"
#include "serve/work.h"

namespace diptych::serve {

using generate::Session;
using generate::StopReason;

namespace {

constexpr int64_t kFewestTokens = 16;  // of a prompt's piece: fewer cost as much
constexpr double kNewRate = 0.3;       // the weight of the latest piece's speed
// A prefix that another slot holds is copied where it is so much longer than the own one.
constexpr int64_t kWorthCopying = 16;

}  // namespace

Scheduler::Scheduler(NewSession new_session, const text::Tokenizer* tokenizer, Turns& turns,
                     const SchedulerOptions& options)
    : new_session_(std::move(new_session)),
      tokenizer_(tokenizer),
      turns_(turns),
      options_(options),
      slots_(static_cast<size_t>(options.slots)) {}

Result<std::unique_ptr<Scheduler>> Scheduler::create(NewSession new_session,
                                                     const text::Tokenizer* tokenizer, Turns& turns,
                                                     const SchedulerOptions& options) {
  std::unique_ptr<Scheduler> scheduler(
      new Scheduler(std::move(new_session), tokenizer, turns, options));
  for (size_t i = 0; i < scheduler->slots_.size(); ++i) {
    scheduler->sessions_.push_back(TRY(scheduler->new_session_()));
    scheduler->sessions_.back()->populate_cache();
  }
  scheduler->publish();
  return scheduler;
}

void Scheduler::start() {
  thread_ = std::thread([this] { run(); });
}

Scheduler::~Scheduler() { stop(); }

void Scheduler::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

std::shared_ptr<Reply> Scheduler::submit(std::vector<Job> jobs) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return nullptr;
  std::erase_if(waiting_, [](const std::unique_ptr<Work>& work) {
    if (!work->reply().cancelled()) return false;
    work->finish(StopReason::Cancelled);
    return true;
  });
  if (waiting_.size() + jobs.size() > options_.most_waiting) {
    ++refused_;
    return nullptr;
  }
  const auto reply = std::make_shared<Reply>(jobs.size());
  for (size_t i = 0; i < jobs.size(); ++i) {
    waiting_.push_back(std::make_unique<Work>(std::move(jobs[i]), reply, i, tokenizer_));
  }
  wake_.notify_one();
  return reply;
}

State Scheduler::state() const {
  const std::lock_guard lock(mutex_);
  State state = state_;
  state.waiting = waiting_.size();
  state.counters.refused = refused_;
  return state;
}

void Scheduler::publish() {
  State state;
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Work* work = slots_[i].work.get();
    state.slots.push_back({work != nullptr, sessions_[i]->position(),
                           work != nullptr ? work->prompt_left() : 0,
                           work != nullptr ? work->answer_tokens() : 0});
  }
  state.counters = counters_;
  const std::lock_guard lock(mutex_);
  state_ = std::move(state);
}

void Scheduler::run() {
  while (admit()) {
    {
      const Turns::Held turn(turns_);
      evaluate_prompt();
      decode();
    }
    publish();
  }
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].work) finish(i, StopReason::Cancelled);
  }
  {
    const std::lock_guard lock(mutex_);
    for (const std::unique_ptr<Work>& work : waiting_) work->finish(StopReason::Cancelled);
    waiting_.clear();
  }
  publish();
}

bool Scheduler::admit() {
  const auto is_free = [](const Slot& slot) { return slot.work == nullptr; };
  for (;;) {
    std::unique_ptr<Work> work;
    {
      std::unique_lock lock(mutex_);
      if (std::all_of(slots_.begin(), slots_.end(), is_free)) {
        wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      }
      if (stopping_) return false;
      if (waiting_.empty() || std::none_of(slots_.begin(), slots_.end(), is_free)) return true;
      work = std::move(waiting_.front());
      waiting_.pop_front();
    }
    ++counters_.jobs;
    if (work->reply().cancelled()) {
      ++counters_.cancelled;
      work->finish(StopReason::Cancelled);
    } else {
      give_slot(std::move(work));
    }
  }
}

// Of the free slots the one that holds most of the prompt, unless that would cost another
// conversation most of its tokens: then the one that was used longest ago, with a copy of what is
// held of the prompt elsewhere.
void Scheduler::give_slot(std::unique_ptr<Work> work) {
  const Job& job = work->job();
  // At least one token is evaluated, for its logits. Log probabilities of an echo need all.
  const bool reuses = options_.reuse && !(job.echo && job.logprobs);
  const std::span<const int64_t> reusable(job.prompt.data(), reuses ? job.prompt.size() - 1 : 0);
  std::vector<int64_t> held;
  for (const auto& session : sessions_) held.push_back(session->held_of(reusable));

  const size_t none = slots_.size();
  size_t best = none, oldest = none, donor = 0;
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (held[i] > held[donor]) donor = i;
    if (slots_[i].work) continue;
    if (best == none || held[i] > held[best]) best = i;
    if (oldest == none || slots_[i].used < slots_[oldest].used) oldest = i;
  }
  const size_t slot = 2 * held[best] >= sessions_[best]->position() ? best : oldest;
  Session& session = *sessions_[slot];
  if (held[donor] >= held[slot] + kWorthCopying) {
    held[slot] = held[donor];
    session.copy_from(*sessions_[donor], held[slot]);
  } else {
    session.rewind(held[slot]);
  }
  counters_.reused_tokens += static_cast<uint64_t>(held[slot]);
  work->begin(held[slot]);
  slots_[slot] = {std::move(work), ++uses_};
}

int64_t Scheduler::piece_tokens(const Session& session) const {
  const bool decoding = std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) {
    return slot.work && slot.work->prompt_done();
  });
  const double seconds = decoding ? options_.piece_seconds : options_.alone_seconds;
  // Tokens of a prompt take no longer than as many steps of decoding.
  const double rate = prompt_rate_ > 0 ? prompt_rate_ : 1 / session.decoding_seconds();
  return std::max(kFewestTokens, static_cast<int64_t>(std::min(seconds * rate, 1e6)));
}

void Scheduler::evaluate_prompt() {
  // One after another, so that a long prompt does not keep a short one waiting.
  for (size_t n = 1; n <= slots_.size(); ++n) {
    const size_t slot = (last_prompt_ + n) % slots_.size();
    Work* work = slots_[slot].work.get();
    if (work == nullptr || work->prompt_done()) continue;
    last_prompt_ = slot;
    if (work->reply().cancelled()) return finish(slot, StopReason::Cancelled);
    const int64_t before = work->prompt_left();
    const auto start = Clock::now();
    const Result<bool> more =
        work->evaluate_prompt(*sessions_[slot], piece_tokens(*sessions_[slot]));
    if (!more) return fail(slot, more.error());
    const double seconds = seconds_since(start);
    const auto tokens = static_cast<double>(before - work->prompt_left());
    const double rate = tokens / std::max(seconds, 1e-9);
    if (tokens >= static_cast<double>(kFewestTokens)) {
      prompt_rate_ = prompt_rate_ > 0 ? prompt_rate_ + kNewRate * (rate - prompt_rate_) : rate;
    }
    counters_.prompt_tokens += static_cast<uint64_t>(before - work->prompt_left());
    counters_.prompt_seconds += seconds;
    if (!*more) finish(slot, work->job().max_tokens > 0 ? work->reason() : StopReason::MaxTokens);
    return;
  }
}

void Scheduler::decode() {
  std::vector<size_t> active;
  std::vector<Session*> sessions;
  std::vector<int64_t> tokens;
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Work* work = slots_[i].work.get();
    if (work == nullptr || !work->prompt_done()) continue;
    if (work->reply().cancelled()) {
      finish(i, StopReason::Cancelled);
    } else if (sessions_[i]->remaining() == 0) {
      finish(i, StopReason::ContextFull);
    } else {
      active.push_back(i);
      sessions.push_back(sessions_[i].get());
      tokens.push_back(work->token());
    }
  }
  if (active.empty()) return;
  const auto start = Clock::now();
  if (active.size() == 1) {
    const auto evaluated = sessions[0]->evaluate(tokens);
    if (!evaluated) return fail(active[0], evaluated.error());
  } else if (const Status evaluated = Session::evaluate_together(sessions, tokens); !evaluated) {
    return fail_all(evaluated.error());
  }
  for (size_t i = 0; i < active.size(); ++i) {
    Work& work = *slots_[active[i]].work;
    const Result<bool> more = work.choose(sessions[i]->logits(), *sessions[i]);
    if (!more) {
      fail(active[i], more.error());
    } else if (!*more) {
      finish(active[i], work.reason());
    }
  }
  ++counters_.steps;
  counters_.decoding_seconds += seconds_since(start);
}

void Scheduler::finish(size_t slot, StopReason reason) {
  const std::unique_ptr<Work> work = std::move(slots_[slot].work);
  counters_.answer_tokens += static_cast<uint64_t>(work->answer_tokens());
  if (reason == StopReason::Cancelled) ++counters_.cancelled;
  work->finish(reason);
}

void Scheduler::fail(size_t slot, const Error& error) {
  if (error.code == ErrorCode::Cancelled) return finish(slot, StopReason::Cancelled);
  ++counters_.failed;
  const std::unique_ptr<Work> work = std::move(slots_[slot].work);
  work->fail(error);
}

void Scheduler::fail_all(const Error& error) {
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (!slots_[i].work) continue;
    fail(i, error);
    // Where there is no other session to be had, the old one begins anew.
    Result<std::unique_ptr<Session>> session = new_session_();
    if (session) {
      sessions_[i] = std::move(*session);
    } else {
      sessions_[i]->rewind(0);
    }
  }
}

}  // namespace diptych::serve
