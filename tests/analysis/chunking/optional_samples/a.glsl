#version 330
#define PI 3.14
uniform mat4 model;
struct Light { vec3 pos; };
layout(location=0) in vec3 aPos;
const float eps = 0.1;
vec3 shade(Light l, vec3 n) { return n; }
void main() { gl_Position = vec4(1); }
