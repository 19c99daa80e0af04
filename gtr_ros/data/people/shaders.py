# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
GLSL source of the drawing.

Positions are in the world frame, metres. `to_clip` maps pixels so that row 0 of what is read back
is the top row of the image; no image is ever turned over.
"""

from __future__ import annotations

#: in front of every source
HEAD = '#version 330 core\n'

#: positions only: the shadow map, and the masks of whole bodies
POSITIONS = """
uniform mat4 to_clip;
in vec3 in_position;
void main() { gl_Position = to_clip * vec4(in_position, 1.0); }
"""

NOTHING = 'void main() {}\n'

WHITE = """
out float covered;
void main() { covered = 1.0; }
"""

#: owner and distance along the optical axis, for people and things
TRUTH_VERTEX = """
uniform mat4 to_clip;
in vec3 in_position;
in int in_owner;
flat out int owner;
out float depth;
void main() {
    gl_Position = to_clip * vec4(in_position, 1.0);
    depth = gl_Position.w;
    owner = in_owner;
}
"""

TRUTH_FRAGMENT = """
flat in int owner;
in float depth;
out uvec2 truth;
void main() { truth = uvec2(uint(owner), floatBitsToUint(depth)); }
"""

#: in front of those that need light
LIGHTING = """
uniform vec3 sun;           // towards the main light
uniform vec3 sun_colour;
uniform vec3 sky_colour;    // light from above, from the ground, and from one side
uniform vec3 ground_colour;
uniform vec3 side;
uniform vec3 side_colour;
uniform float exposure;
uniform mat4 to_shadow;
uniform float softness;     // of shadows, of the map's width
uniform float lift;         // metres, from a surface to where its shadow is looked up
uniform vec2 patches;       // strength of patches of light on the ground, and their scale
uniform sampler2DShadow shadow_map;
uniform sampler2D patch_map;

float sunlit(vec3 position, vec3 normal) {
    vec3 at = (to_shadow * vec4(position + lift * normal, 1.0)).xyz * 0.5 + 0.5;
    float lit = 0.0;
    lit += texture(shadow_map, at + vec3(softness, 0.4 * softness, 0.0));
    lit += texture(shadow_map, at + vec3(-0.4 * softness, softness, 0.0));
    lit += texture(shadow_map, at + vec3(-softness, -0.4 * softness, 0.0));
    lit += texture(shadow_map, at + vec3(0.4 * softness, -softness, 0.0));
    vec2 from_middle = abs(at.xy - 0.5);
    lit = max(from_middle.x, from_middle.y) > 0.49 ? 4.0 : lit;
    vec2 over = position.xy - sun.xy / max(sun.z, 0.2) * position.z;
    float patchy = texture(patch_map, over * patches.y).r;
    return 0.25 * lit * mix(1.0, patchy, patches.x);
}

vec3 lit(vec3 albedo, vec3 normal, vec3 position, float wrap) {
    float facing = max(0.0, (dot(normal, sun) + wrap) / (1.0 + wrap));
    vec3 light = facing > 0.0 ? sun_colour * facing * sunlit(position, normal) : vec3(0.0);
    light += mix(ground_colour, sky_colour, 0.5 + 0.5 * normal.z);
    light += side_colour * (0.5 + 0.5 * dot(normal, side));
    return albedo * light;
}

vec3 developed(vec3 radiance) {
    vec3 x = radiance * exposure;
    x = x * (1.0 + x * 0.08) / (1.0 + x * 0.55);  // highlights roll off
    return sqrt(clamp(x, 0.0, 1.0));
}

// A gamma of 2 is close to that of images, and much faster.
vec3 linear(vec3 colour) { return colour * colour; }
"""

FIGURE_VERTEX = """
uniform mat4 to_clip;
in vec3 in_position;
in vec3 in_normal;
in vec2 in_uv;
in float in_layer;
out vec3 position;
out vec3 normal;
out vec3 where;
void main() {
    gl_Position = to_clip * vec4(in_position, 1.0);
    position = in_position;
    normal = in_normal;
    where = vec3(in_uv, in_layer);
}
"""

FIGURE_FRAGMENT = """
uniform sampler2DArray textures;
uniform vec3 eye;
in vec3 position;
in vec3 normal;
in vec3 where;
out vec4 colour;
void main() {
    vec3 n = normalize(normal);
    vec3 albedo = linear(texture(textures, where).rgb);
    float low = 0.72 + 0.28 * smoothstep(0.0, 0.7, position.z);  // the ground hides the sky
    vec3 seen = low * lit(albedo, n, position, 0.15);
    float rim = 1.0 - abs(dot(n, normalize(eye - position)));
    rim *= rim * rim;
    colour = vec4(developed(seen + 0.05 * rim * sky_colour), 1.0);
}
"""

THING_VERTEX = """
uniform mat4 to_clip;
in vec3 in_position;
in vec3 in_normal;
in vec2 in_uv;
in float in_layer;
in vec3 in_tint;
out vec3 position;
out vec3 normal;
out vec3 where;
out vec3 tint;
void main() {
    gl_Position = to_clip * vec4(in_position, 1.0);
    position = in_position;
    normal = in_normal;
    where = vec3(in_uv, in_layer);
    tint = in_tint;
}
"""

THING_FRAGMENT = """
uniform sampler2DArray materials;
uniform vec3 eye;
in vec3 position;
in vec3 normal;
in vec3 where;
in vec3 tint;
out vec4 colour;
void main() {
    vec3 n = normalize(normal);
    // A second look at the texture, much larger, hides that it repeats.
    float stains = texture(materials, vec3(where.xy * 0.093 + 0.37, where.z)).g;
    vec3 albedo = linear(texture(materials, where, -0.6).rgb * (0.8 + 0.4 * stains)) * tint;
    float low = n.z > 0.5 ? 1.0 : 0.7 + 0.3 * smoothstep(0.0, 0.6, position.z);
    colour = vec4(developed(low * lit(albedo, n, position, 0.0)), 1.0);
}
"""

#: of the backdrop and the spots
FLAT_VERTEX = """
uniform mat4 to_clip;
in vec3 in_position;
in vec2 in_uv;
out vec2 where;
void main() {
    gl_Position = to_clip * vec4(in_position, 1.0);
    where = in_uv;
}
"""

#: what is far away, painted with its light; nothing casts a shadow on it
BACKDROP_FRAGMENT = """
uniform sampler2D panorama;
uniform vec3 glow;  // light on it
in vec2 where;
out vec4 colour;
void main() { colour = vec4(developed(linear(texture(panorama, where).rgb) * glow), 1.0); }
"""

#: soft dark spots below the feet
SPOT_FRAGMENT = """
uniform float strength;
in vec2 where;
out vec4 colour;
void main() {
    float r = length(where);
    float dark = strength * (1.0 - smoothstep(0.0, 1.0, r)) * (1.0 - smoothstep(0.0, 1.0, r));
    colour = vec4(0.0, 0.0, 0.0, dark);
}
"""

SCREEN_VERTEX = """
in vec2 in_position;
out vec2 where;
void main() {
    gl_Position = vec4(in_position, 0.0, 1.0);
    where = in_position * 0.5 + 0.5;
}
"""

LENS_FRAGMENT = """
uniform sampler2D drawn;
uniform vec2 size;        // of the image, pixels
uniform mat3 motion;      // where a pixel was when the exposure began
uniform int taps;         // along that way; 1: no blur
uniform float blur;       // of the lens, pixels
uniform float vignette;
uniform vec3 balance;
uniform vec2 noise;       // its standard deviation in black, and how it grows, of 1
uniform sampler2D grain_map;  // random numbers around 0.5
uniform vec2 grain_shift;
in vec2 where;
out vec4 colour;

vec3 seen(vec2 at) {
    if (blur <= 0.0) return texture(drawn, at / size).rgb;
    vec3 sum = 0.36 * texture(drawn, at / size).rgb;
    sum += 0.16 * texture(drawn, (at + vec2(blur, 0.0)) / size).rgb;
    sum += 0.16 * texture(drawn, (at - vec2(blur, 0.0)) / size).rgb;
    sum += 0.16 * texture(drawn, (at + vec2(0.0, blur)) / size).rgb;
    sum += 0.16 * texture(drawn, (at - vec2(0.0, blur)) / size).rgb;
    return sum;
}

void main() {
    vec2 pixel = where * size;
    vec3 image = vec3(0.0);
    if (taps > 1) {
        vec3 before = motion * vec3(pixel, 1.0);
        vec2 way = before.xy / before.z - pixel;
        for (int i = 0; i < taps; i++)
            image += seen(pixel + way * (float(i) / float(taps - 1) - 0.5));
        image /= float(taps);
    } else {
        image = seen(pixel);
    }
    vec2 out_of_middle = (where - 0.5) * vec2(size.x / size.y, 1.0);
    image *= balance * (1.0 - vignette * dot(out_of_middle, out_of_middle));
    vec4 grain = texelFetch(grain_map, ivec2(mod(pixel + grain_shift, 512.0)), 0) - 0.5;
    float deviation = noise.x + noise.y * sqrt(dot(image, vec3(0.333)));
    image += 8.0 * deviation * (0.8 * grain.xyz + 0.6 * grain.w);
    colour = vec4(clamp(image, 0.0, 1.0), 1.0);
}
"""

#: what is behind the people, into the larger picture
BEHIND_FRAGMENT = """
uniform sampler2D behind;
in vec2 where;
out vec4 colour;
void main() { colour = texture(behind, where); }
"""
