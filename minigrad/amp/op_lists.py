"""Which operations autocast runs in which precision, per kind of device: torch's lists.

A name is that of an op (op.REGISTRY) or of a function decorated by `runs_under_autocast`. What is in no
list runs in the dtypes that it gets, mixed ones promoted. torch keeps far more in float32 on the GPU
than on the CPU, where its own kernels for bfloat16 already compute inside in float32.
"""

from ..autocasting import FLOAT32, LOWER, REFUSED, WIDEST, lists

# Products, which cost nearly all of the time and which tensor cores make in lower precision.
PRODUCTS = """
    addbmm addmm affine baddbmm conv_transpose1d convolve convolve_relu_max dot_vectors lstm_layer
    matrix_times_vector multiply_matrices parametric_relu rnn_layer
    scaled_dot_product_attention times_transposed transposed_times
"""
# Losses: sums over a batch of what may be large or tiny.
LOSSES = """
    binary_cross_entropy_with_logits cosine_embedding_loss cross_entropy hinge_embedding_loss
    huber_loss kl_div l1_loss margin_ranking_loss multi_margin_loss multilabel_margin_loss nll_loss
    poisson_nll_loss smooth_l1_loss soft_margin_loss squared_error triplet_margin_loss
"""
CPU = {
    LOWER: PRODUCTS,
    FLOAT32: LOSSES
    + """
    bernoulli_nll cdist cholesky_factor ctc_rows determinant gru_layer invert qr_factors reduce_prod
    sign_and_log_determinant singular_values_and_vectors solve_matrices symmetric_eigen trace
    """,
    WIDEST: "dot join_along mv vdot",
}
CUDA = {
    LOWER: PRODUCTS + "addmv addr chain_matmul einsum gru_layer",
    FLOAT32: LOSSES
    + """
    acos asin cdist cosh cosine_similarity dist erfinv exp expm1 log log10 log1p log2
    log_softmax_along normalise pow_arrays reciprocal reduce_logsumexp reduce_prod reduce_sum rsqrt
    running_product running_sum sinh soft_plus softmax_along tan vector_norm
    """,
    WIDEST: "add_advanced atan2 bilinear cross dot scatter_add_along tensordot trace vdot",
    REFUSED: "bernoulli_nll",
}


def _by_name(groups):
    return {name: policy for policy, names in groups.items() for name in names.split()}


lists["cpu"].update(_by_name(CPU))
lists["cuda"].update(_by_name(CUDA))
