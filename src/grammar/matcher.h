// Follows a text through a grammar's automaton, byte by byte, all ways at once. A configuration is
// the set of all places where the text so far may have led, each with the stack of rules to come
// back to. Configurations get numbers and the steps from one to another are remembered, so that
// most of matching is looking up a table, as a lazily built DFA does it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "grammar/automaton.h"

namespace diptych::grammar {

class Matcher {
 public:
  using Config = uint32_t;
  static constexpr Config kDead = 0;  // nothing that begins so is of the grammar

  explicit Matcher(std::shared_ptr<const Automaton> automaton);

  // The configuration before any byte.
  Config start() const { return start_; }
  // The one after another byte.
  Config step(Config from, uint8_t byte) {
    const Config known = rows_[from][byte];
    return known != kUnknown ? known : compute(from, byte);
  }
  bool accepts(Config config) const { return accepting_[config]; }        // the text may end
  bool goes_on(Config config) const { return !places_[config].empty(); }  // bytes may follow

  // Places that were looked at so far: what matching has cost.
  uint64_t work() const { return work_; }

  // Forgets all configurations but `kept`, whose number is returned, when they are many; they are
  // found again. Configurations from before are void then.
  bool is_full() const { return rows_.size() > kMostConfigs; }
  Config forget_all_but(Config kept);

 private:
  static constexpr Config kUnknown = UINT32_MAX;
  static constexpr size_t kMostConfigs = 16384;
  static constexpr size_t kMostPlaces = 4096;  // of a configuration; more are a dead end

  struct Frame {  // a return address, and those below it
    StateId state;
    uint32_t below;
    bool operator==(const Frame&) const = default;
  };
  struct Place {
    StateId state;
    uint32_t frame;  // 0: no caller
    auto operator<=>(const Place&) const = default;
  };
  using Places = std::vector<Place>;  // sorted
  struct Hash {
    size_t operator()(const Places& places) const;
    size_t operator()(const Frame& frame) const;
    size_t operator()(const Place& place) const;
  };

  Config compute(Config from, uint8_t byte);
  Config intern(const std::vector<Place>& reached);
  Config add(Places places, bool accepting);
  uint32_t frame_of(Frame frame);

  std::shared_ptr<const Automaton> automaton_;
  std::vector<Frame> frames_;
  std::unordered_map<Frame, uint32_t, Hash> frame_ids_;
  // By configuration.
  std::vector<Places> places_;  // those with edges for bytes
  std::vector<bool> accepting_;
  std::vector<std::array<Config, 256>> rows_;
  std::unordered_map<Places, std::array<Config, 2>, Hash> ids_;  // by whether it accepts
  Config start_ = kDead;
  uint64_t work_ = 0;
};

}  // namespace diptych::grammar
