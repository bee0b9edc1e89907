#include "text/pieces.h"

#include "text/utf8.h"

namespace diptych::text {

namespace {

// A stretch of a piece: a match or what lies between two.
struct Span {
  size_t begin, end;
  bool is_match;
};

// The spans of `text`, which is not empty; together they are the text. An empty match has no span
// but separates its neighbours.
Status find_spans(std::string_view text, const Pattern& pattern, Work& work,
                  std::vector<Span>& spans) {
  size_t done = 0;
  for (size_t from = 0; from <= text.size();) {
    const auto match = TRY(pattern.find(text, from, work));
    if (!match) break;
    if (match->begin > done) spans.push_back({done, match->begin, false});
    if (match->end > match->begin) spans.push_back({match->begin, match->end, true});
    done = match->end;
    from = match->end;
    if (match->begin == match->end) {
      if (from == text.size()) break;
      from += next_utf8(text.substr(from)).size;
    }
  }
  if (done < text.size()) spans.push_back({done, text.size(), false});
  return {};
}

// Joins every match with the span before it, unless that is a match too (which has joined already).
void merge_with_previous(std::vector<Span>& spans) {
  std::vector<Span> merged;
  bool after_match = false;
  for (const Span& span : spans) {
    if (span.is_match && !after_match && !merged.empty()) {
      merged.back().end = span.end;
    } else {
      merged.push_back(span);
    }
    after_match = span.is_match;
  }
  spans = std::move(merged);
}

void merge_with_next(std::vector<Span>& spans) {
  std::vector<Span> merged;  // last first
  bool after_match = false;
  for (size_t i = spans.size(); i-- > 0;) {
    if (spans[i].is_match && !after_match && !merged.empty()) {
      merged.back().begin = spans[i].begin;
    } else {
      merged.push_back(spans[i]);
    }
    after_match = spans[i].is_match;
  }
  spans.assign(merged.rbegin(), merged.rend());
}

void merge_equals(std::vector<Span>& spans) {
  std::vector<Span> merged;
  for (const Span& span : spans) {
    if (!merged.empty() && merged.back().is_match == span.is_match) {
      merged.back().end = span.end;
    } else {
      merged.push_back(span);
    }
  }
  spans = std::move(merged);
}

}  // namespace

Pattern Pattern::literal(std::string_view text) {
  Pattern pattern;
  pattern.literal_ = TokenSearch({text});
  return pattern;
}

Pattern Pattern::regex(Regex regex) {
  Pattern pattern;
  pattern.regex_ = std::move(regex);
  return pattern;
}

Result<std::optional<Match>> Pattern::find(std::string_view text, size_t from, Work& work) const {
  if (regex_) return regex_->find(text, from, work);
  const auto found = TRY(literal_.find(text, from, work));
  if (!found) return std::nullopt;
  return Match{found->begin, found->end};
}

Pieces Pieces::whole(std::string text, bool at_start) {
  Pieces pieces;
  pieces.text = std::move(text);
  if (!pieces.text.empty()) pieces.ranges.push_back({0, pieces.text.size()});
  pieces.at_start = at_start;
  return pieces;
}

Status Pieces::split(const Pattern& pattern, Behaviour behaviour, bool invert, Work& work) {
  std::vector<Match> cut;
  std::vector<Span> spans;
  for (const Match& range : ranges) {
    spans.clear();
    TRY(find_spans(piece(range), pattern, work, spans));
    if (invert) {
      for (Span& span : spans) span.is_match = !span.is_match;
    }
    if (behaviour == Behaviour::MergedWithPrevious) merge_with_previous(spans);
    if (behaviour == Behaviour::MergedWithNext) merge_with_next(spans);
    if (behaviour == Behaviour::Contiguous) merge_equals(spans);
    for (const Span& span : spans) {
      if (behaviour == Behaviour::Removed && span.is_match) {
        if (cut.empty() && span.begin == 0) at_start = false;
        continue;
      }
      cut.push_back({range.begin + span.begin, range.begin + span.end});
    }
  }
  ranges = std::move(cut);
  return {};
}

Result<std::string> replace_all(std::string_view text, const Pattern& pattern,
                                std::string_view content, Work& work) {
  std::string out;
  size_t done = 0;
  for (size_t from = 0; from <= text.size();) {
    const auto match = TRY(pattern.find(text, from, work));
    if (!match) break;
    out += text.substr(done, match->begin - done);
    out += content;
    TRY(work.check_size(out.size()));
    done = from = match->end;
    if (match->begin == match->end) {
      if (from == text.size()) break;
      from += next_utf8(text.substr(from)).size;
    }
  }
  return out.append(text.substr(done));
}

}  // namespace diptych::text
