#include "grammar/matcher.h"

#include <algorithm>
#include <unordered_set>

namespace diptych::grammar {

namespace {

size_t mix(size_t seed, size_t value) {
  return (seed ^ (value + 0x9e3779b97f4a7c15ULL + (seed << 6) + (seed >> 2))) *
         0xff51afd7ed558ccdULL;
}

}  // namespace

size_t Matcher::Hash::operator()(const Frame& frame) const { return mix(frame.state, frame.below); }
size_t Matcher::Hash::operator()(const Place& place) const { return mix(place.state, place.frame); }
size_t Matcher::Hash::operator()(const Places& places) const {
  size_t hash = places.size();
  for (const Place& place : places) hash = mix(hash, (*this)(place));
  return hash;
}

Matcher::Matcher(std::shared_ptr<const Automaton> automaton) : automaton_(std::move(automaton)) {
  frames_.push_back({0, 0});  // none
  add({}, false);             // kDead
  start_ = intern({{automaton_->start, 0}});
}

uint32_t Matcher::frame_of(Frame frame) {
  const auto [found, is_new] = frame_ids_.try_emplace(frame, static_cast<uint32_t>(frames_.size()));
  if (is_new) frames_.push_back(frame);
  return found->second;
}

Matcher::Config Matcher::add(Places places, bool accepting) {
  auto& ids = ids_.try_emplace(places, std::array<Config, 2>{kUnknown, kUnknown}).first->second;
  Config& id = ids[accepting ? 1 : 0];
  if (id != kUnknown) return id;
  id = static_cast<Config>(rows_.size());
  places_.push_back(std::move(places));
  accepting_.push_back(accepting);
  rows_.emplace_back().fill(kUnknown);
  if (id == kDead) rows_[kDead].fill(kDead);
  return id;
}

// The configuration of all places that are reached from these without a byte.
Matcher::Config Matcher::intern(const std::vector<Place>& reached) {
  Places next(reached), kept;
  std::unordered_set<Place, Hash> seen;
  bool accepting = false;
  while (!next.empty()) {
    const Place place = next.back();
    next.pop_back();
    ++work_;
    if (!seen.insert(place).second) continue;
    if (seen.size() > kMostPlaces) return kDead;
    const Automaton::State& state = automaton_->states[place.state];
    if (state.ends) {
      if (place.frame == 0) {
        accepting = true;
      } else {
        const Frame& frame = frames_[place.frame];
        next.push_back({frame.state, frame.below});
      }
    }
    bool takes_bytes = false;
    for (const Automaton::Edge& edge : state.edges) {
      switch (edge.kind) {
        case Automaton::Edge::Kind::Bytes:
          takes_bytes = true;
          break;
        case Automaton::Edge::Kind::Free:
          next.push_back({edge.to, place.frame});
          break;
        case Automaton::Edge::Kind::Call:
          // Where nothing follows the call, the caller's caller is gone back to.
          next.push_back({edge.rule, automaton_->states[edge.to].last
                                         ? place.frame
                                         : frame_of({edge.to, place.frame})});
          break;
      }
    }
    if (takes_bytes) kept.push_back(place);
  }
  std::sort(kept.begin(), kept.end());
  return add(std::move(kept), accepting);
}

Matcher::Config Matcher::compute(Config from, uint8_t byte) {
  std::vector<Place> reached;
  for (const Place& place : places_[from]) {
    for (const Automaton::Edge& edge : automaton_->states[place.state].edges) {
      if (edge.kind == Automaton::Edge::Kind::Bytes && byte >= edge.first && byte <= edge.last) {
        reached.push_back({edge.to, place.frame});
      }
    }
  }
  const Config to = reached.empty() ? kDead : intern(reached);
  rows_[from][byte] = to;
  return to;
}

Matcher::Config Matcher::forget_all_but(Config kept) {
  const Places places = places_[kept];
  const bool accepting = accepting_[kept];
  const std::vector<Frame> frames = std::move(frames_);
  frames_.assign(1, {0, 0});
  frame_ids_.clear();
  places_.clear();
  accepting_.clear();
  rows_.clear();
  ids_.clear();
  add({}, false);
  start_ = intern({{automaton_->start, 0}});
  // The stacks, from their callers' callers up.
  Places again;
  for (const Place& place : places) {
    std::vector<StateId> path;
    for (uint32_t frame = place.frame; frame != 0; frame = frames[frame].below) {
      path.push_back(frames[frame].state);
    }
    uint32_t frame = 0;
    for (auto state = path.rbegin(); state != path.rend(); ++state)
      frame = frame_of({*state, frame});
    again.push_back({place.state, frame});
  }
  std::sort(again.begin(), again.end());
  return add(std::move(again), accepting);
}

}  // namespace diptych::grammar
