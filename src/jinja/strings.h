// Python's view of strings: sequences of characters, over UTF-8.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace diptych::jinja {

// What str.isspace() and str.strip() take for white space.
bool is_space(char32_t character);

size_t length(std::string_view text);  // in characters

// The size of the character that `text` starts with.
size_t first_size(std::string_view text);

// The character at an index; "" beyond the last one.
std::string_view character_at(std::string_view text, size_t index);

// The characters begin, begin + step, … before `end`; downwards where `step` is negative. `begin`
// and `end` are within the text, or one beside it.
std::string every(std::string_view text, int64_t begin, int64_t end, int64_t step);

// Where `needle` is first found from `from` on, or npos; and where last. Linear in both lengths.
size_t find(std::string_view text, std::string_view needle, size_t from = 0);
size_t find_last(std::string_view text, std::string_view needle);

std::string_view strip_left(std::string_view text);
std::string_view strip_right(std::string_view text);
// The same for a set of characters instead of white space.
std::string_view strip_left(std::string_view text, std::string_view set);
std::string_view strip_right(std::string_view text, std::string_view set);

std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string capitalize(std::string_view text);
std::string title(std::string_view text);        // str.title()
std::string title_words(std::string_view text);  // the filter of that name: other borders of words

bool is_cased_upper(std::string_view text);  // str.isupper()
bool is_cased_lower(std::string_view text);  // str.islower()

// Every character is of the class, and there is one.
bool all_digits(std::string_view text);
bool all_letters(std::string_view text);
bool all_letters_or_digits(std::string_view text);
bool all_space(std::string_view text);

// How often `needle`, which is not empty, is found without overlaps.
size_t count(std::string_view text, std::string_view needle);

std::string replace(std::string_view text, std::string_view from, std::string_view to, size_t most);

// Called with each part; false ends the work. A text may have far more parts than fit memory.
using OnPart = std::function<bool(std::string_view part)>;
void split_space(std::string_view text, size_t most, const OnPart& on_part);
void split_lines(std::string_view text, bool keep_ends, const OnPart& on_part);

}  // namespace diptych::jinja
