// Python's view of strings: sequences of characters, over UTF-8.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace diptych::jinja {

// What str.isspace() and str.strip() take for white space.
bool is_space(char32_t character);

size_t length(std::string_view text);  // in characters

// Where each character starts, and the end: length + 1 offsets.
std::vector<size_t> offsets(std::string_view text);

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

// Steps that looking for `needle` everywhere in `text` may take.
uint64_t search_cost(std::string_view text, std::string_view needle);

std::string replace(std::string_view text, std::string_view from, std::string_view to, size_t most);
std::vector<std::string_view> split_space(std::string_view text, size_t most);
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);

}  // namespace diptych::jinja
