cbuffer Params : register(b0) { float4x4 mvp; };
struct VSIn { float3 pos : POSITION; };
Texture2D tex : register(t0);
float4 shade(VSIn i) : SV_Target { return 1; }
[numthreads(8,8,1)]
void main(uint3 id : SV_DispatchThreadID) {}
