// The demo model's texts, each story alone, as the model was trained.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "evaluate/windows.h"
#include "testing/shared_data.h"
#include "text/tokenizer.h"

namespace diptych::evaluate {

// The tokens of each story of a file of demo/, BOS excluded, EOS at the end. (A line end in its
// place would be so improbable that perplexities told of little else.)
inline Result<std::vector<std::vector<int64_t>>> stories(const std::string& file,
                                                         const text::Tokenizer& tokenizer) {
  constexpr std::string_view kSeparator = "===\n";
  const std::string text = TRY(read_text_file(testing::source_path("demo/" + file)));
  std::vector<std::vector<int64_t>> stories;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(kSeparator, begin), text.size());
    std::string story = text.substr(begin, end - begin);
    while (story.ends_with('\n')) story.pop_back();
    const auto ids = TRY(tokenizer.encode(story, false));
    stories.emplace_back(ids.begin(), ids.end()).push_back(tokenizer.eos());
    begin = end + kSeparator.size();
  }
  return stories;
}

inline Result<std::unique_ptr<text::Tokenizer>> demo_tokenizer() {
  return text::open_tokenizer(testing::source_path("demo/tokenizer.model"));
}

// A window for each of some stories.
inline std::vector<Window> story_windows(const std::vector<std::vector<int64_t>>& stories,
                                         int64_t bos) {
  std::vector<Window> windows;
  const std::vector<int64_t> prefix = {bos};
  for (const auto& story : stories) {
    for (Window& window : make_windows(story, prefix, static_cast<int64_t>(story.size()))) {
      windows.push_back(std::move(window));
    }
  }
  return windows;
}

// The held-out stories, so many of them that there are `positions` targets or a little more.
inline Result<std::vector<Window>> held_out_stories(int64_t positions) {
  const auto tokenizer = TRY(demo_tokenizer());
  auto all = TRY(stories("held_out.txt", *tokenizer));
  size_t count = 0;
  for (; count < all.size() && positions > 0; ++count) {
    positions -= static_cast<int64_t>(all[count].size());
  }
  all.resize(count);
  return story_windows(all, tokenizer->bos());
}

// The stories that quantisation is judged by.
inline Result<std::vector<Window>> unseen_stories() {
  const auto tokenizer = TRY(demo_tokenizer());
  return story_windows(TRY(stories("unseen.txt", *tokenizer)), tokenizer->bos());
}

}  // namespace diptych::evaluate
