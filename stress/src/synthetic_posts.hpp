#pragma once

#include "post.hpp"
#include "random.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace trunkline::stress {

/// Posts made up from a seed: the same seed gives the same posts, on every platform. Their shape is that of the real
/// set: titles of 3 to 18 words, three quarters without text, the others' lengths log-normal around 550 bytes and up
/// to 40,000, 50 subreddits of unequal size, scores with a heavy tail, rising ids in base 36. Words follow
/// Zipf and Mandelbrot's law without its first 50 ranks: those would be stop words, which a full-text index leaves out.
class synthetic_posts final : public post_source {
public:
    synthetic_posts(std::uint64_t seed, std::size_t count);

    bool next(post& into) override;
    /// Makes the next post even if `count` were made already, but for its id.
    void make(post& into);

private:
    void append_word(std::string& to);
    void make_title(std::string& title);
    void make_selftext(std::string& text);

    random_numbers random_;
    std::uint64_t number_;
    std::size_t left_;
};

}  // namespace trunkline::stress
